"""What the operating system says of a process that may end at any moment: between two looks, or as a zombie."""

from __future__ import annotations

import psutil


def lives(pid: int) -> bool:
    """Whether a process runs. One that has ended does not, also while its parent has not collected it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def words(process: psutil.Process) -> list[str]:
    """Its name and its arguments. Empty if it has ended.

    A fork of `aiworker up` has the arguments of that, and a name of its own.
    """
    try:
        return [process.name(), *process.cmdline()]
    except psutil.NoSuchProcess:
        return []
