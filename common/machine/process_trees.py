"""Finds processes by a condition instead of by name, and kills a process with its descendants."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator

import psutil

from common.machine.children import has_ended, kill_group


def find_processes(is_wanted: Callable[[psutil.Process], bool]) -> Iterator[psutil.Process]:
    """Yield the running processes for which `is_wanted` is true, except this process itself.

    A process is skipped if is_wanted raises psutil.Error or OSError, as for one that has ended or belongs to another
    user.
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
    """Send each process a signal. Returns how many received it."""
    count = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            process.send_signal(number)
            count += 1
    return count


def kill_tree(pid: int) -> None:
    """Kill the process group that this child leads, and all descendants in any group. Does nothing if there are none.

    Call it only before the child has been waited for: after that, another process may get its number.
    """
    descendants: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error, ChildProcessError):
        # Once it has ended it has none, and to look for them takes longer the more processes the machine has.
        if not has_ended(pid):
            descendants = psutil.Process(pid).children(recursive=True)
    kill_group(pid)
    signal_processes(descendants, signal.SIGKILL)
