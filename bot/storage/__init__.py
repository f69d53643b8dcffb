"""Redis: records, leases, the audit trail, jobs, and the server of our own."""
