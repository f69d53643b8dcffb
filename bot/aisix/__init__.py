"""Everything specific to AISIX: its control plane, its gateways, their counters and status pages."""
