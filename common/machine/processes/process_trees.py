"""Finds processes by a condition instead of by name, and kills a process with its descendants."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil

from common.machine.processes.children import has_ended, kill_group
from common.machine.waiting import Deadline

_BEGINNING_SECONDS = 0.5
_MOST_SCANS = 5
_KERNELS = 0x00200000
"""The flag of the kernel's own threads: PF_KTHREAD in its include/linux/sched.h."""


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


def environment_of(process: psutil.Process) -> dict[str, str]:
    """The variables of a process. Raises psutil.Error, as where it has ended or belongs to another user.

    While a process begins another program (execve), the kernel shows no variables of it. So this waits for the
    program, half a second at most.
    """
    deadline, looks = Deadline(_BEGINNING_SECONDS), 0
    # Some have none, or write over them, as redis-server does. Else the program has begun since they were read.
    while not (variables := process.environ()) and looks < _MOST_SCANS and not deadline.is_over:
        if _is_beginning(process.pid):
            time.sleep(0.001)
        else:
            looks += 1
    return variables


def _is_beginning(pid: int) -> bool:
    """Whether the kernel does not know yet where the variables of a process lie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    # The 3rd, 9th and 51st field of all, see proc(5).
    state, flags, end = fields[0], int(fields[6]), int(fields[48])
    return not end and state not in {b"Z", b"X"} and not flags & _KERNELS


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
