"""Processes of this machine found by what they are, never by their names, and ended together."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator

import psutil

from common.machine.children import kill_group


def find_processes(is_wanted: Callable[[psutil.Process], bool]) -> Iterator[psutil.Process]:
    """The living processes for which `is_wanted` holds, one after another; never this process itself.

    is_wanted may raise psutil.Error or OSError, as for a process that has ended meanwhile or belongs to another user:
    such a process is left out.
    """
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        is_found = False
        with contextlib.suppress(psutil.Error, OSError):
            is_found = is_wanted(process) and process.status() != psutil.STATUS_ZOMBIE
        if is_found:
            yield process


def signal_processes(processes: Iterable[psutil.Process], number: signal.Signals) -> int:
    """Send each a signal as it comes; returns how many were there to get it."""
    count = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            process.send_signal(number)
            count += 1
    return count


def kill_tree(pid: int) -> None:
    """Kill the group that `pid` leads, and all its descendants, in whatever group. None there: nothing to do.

    Only for a child that has not been waited for: until then its number can't belong to another process.
    """
    descendants: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        descendants = psutil.Process(pid).children(recursive=True)
    kill_group(pid)
    signal_processes(descendants, signal.SIGKILL)
