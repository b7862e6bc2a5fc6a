"""Backups: made while the platform runs, restored into an empty place."""
