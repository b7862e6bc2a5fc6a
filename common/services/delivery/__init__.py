"""Delivery: groups of approved tasks, their tests, deployments and rollbacks."""
