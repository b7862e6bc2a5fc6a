"""Versions of a project in its environments: deployed, watched, rolled back, and signed for."""
