"""The local forge over git's smart HTTP."""
