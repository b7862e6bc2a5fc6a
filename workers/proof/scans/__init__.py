"""Scans of what a commit adds: secrets, and dependencies with known faults."""
