"""The local runtime's one process: it owns apps, checks, their ports, health, logs and files.

It knows nothing of projects or deployments; what should run is told over a Unix socket (`server`). Standard library
and psutil only, and none of common's models, services, broker or providers: it stays small and starts at once.
"""
