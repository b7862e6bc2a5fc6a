"""What every process does with the machine below it: git, child processes, files, locks, text, waiting, logs, disks.

Imports only the standard library and psutil, and nothing else of common. psutil is imported by process_trees alone: the
first container of a pod runs workers.launch, and with it this package, on the standard library.
"""
