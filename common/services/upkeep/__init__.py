"""Health of the instance: its schema, its database server, the age of the last sweep, and metrics."""
