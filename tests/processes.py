"""What the operating system says of a process that may end at any moment: between two looks, or as a zombie."""

from __future__ import annotations

import os

import psutil


def is_running_process(pid: int) -> bool:
    """Whether a process runs. One that has ended does not, also while its parent has not collected it."""
    try:
        # It is a zombie once its first thread has ended; the others keep its ports and files open.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return False


def child_processes(process: psutil.Process) -> list[psutil.Process]:
    """All that it started, in turn. Empty if it has ended."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_words(process: psutil.Process) -> list[str]:
    """Its name and its arguments. Empty if it has ended.

    A fork of `aiworker up` has the arguments of that, and a name of its own.
    """
    try:
        return [process.name(), *process.cmdline()]
    except psutil.NoSuchProcess:
        return []
