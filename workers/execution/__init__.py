"""How workers run jobs: leases, limits of time, and the periodic tasks."""
