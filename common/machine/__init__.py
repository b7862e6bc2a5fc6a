"""Functions for the local machine: git, child processes, files, locks, text, waiting, logs, disks.

Imports only the standard library and psutil, and nothing else of common. Only process_trees imports psutil: the first
container of a pod runs workers.checkouts.pod_start, and with it other modules of this package, on the standard library
alone.
"""
