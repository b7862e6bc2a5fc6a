"""The supervisor: the local runtime's process, which owns apps and checks with their ports, health, logs and files.

It has no knowledge of projects or deployments; clients tell it over a Unix socket what should run (`server`). Uses only
the standard library and psutil, and none of common's models, services, broker or providers, so it is small and starts
fast.
"""
