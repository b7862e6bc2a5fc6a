"""A run's workspace: the clone, the commits in it, and the push."""
