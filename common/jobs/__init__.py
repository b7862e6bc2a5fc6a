"""The jobs: what kinds there are, the queue in the database, and the messages that wake workers."""
