"""What the gateway reads, checks and changes of a request."""
