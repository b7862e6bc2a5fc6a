"""The durable events: what they are, and the feed that tells every process."""
