"""What the forge says of a claimed commit: branches, commits and statuses. Only reads."""
