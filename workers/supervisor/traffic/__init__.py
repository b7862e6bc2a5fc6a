"""Connections to apps: ports, access, health, and static files."""
