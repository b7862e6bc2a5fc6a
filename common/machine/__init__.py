"""What every process does with the machine below it: git, child processes, files, locks, text, waiting, logs, disks.

Imports only the standard library and psutil, and nothing of common. `processes` alone imports psutil: the first
container of a pod runs the rest with the standard library.
"""
