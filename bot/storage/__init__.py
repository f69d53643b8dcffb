"""Redis: records, leases, the audit trail, jobs, and the embedded server."""
