"""Runs, which are attempts at tasks, and the agents that carry them out."""
