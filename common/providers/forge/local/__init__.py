"""The local forge: bare repositories in a directory of this machine."""
