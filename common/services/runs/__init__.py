"""Runs, the attempts at tasks, and the agents that make them."""
