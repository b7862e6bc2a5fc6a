"""What happened and what is under way: events, the audit of events, jobs, heartbeats, and metrics."""
