"""Finds programs on this machine."""
