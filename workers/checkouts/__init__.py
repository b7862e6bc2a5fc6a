"""Checkouts of commits, on this machine and in pods."""
