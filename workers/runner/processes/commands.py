"""Commands of one run: each is read line by line to its end, and is killed as a whole tree.

When a command exits, its background processes are killed with its group. Processes that left the group (setsid) are
found by the HOME in their environment, which is the run's directory. This cleans up; what confines is a Place.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from common.machine.processes.process_trees import environment_of, find_processes, signal_processes
from common.machine.waiting import Deadline
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.processes import start
from workers.runner.processes.run_confinement import CommandSandbox

LONGEST_LINE = 16_000
"""Most characters of a line, as the platform stores it."""
BROKEN = {
    "memory": "It used more memory than a command of a run may (AIWORKER_SANDBOX_MEMORY_BYTES).",
    "processes": "It started more processes than a command of a run may (1024).",
}
"""What people are told of a bound that was broken."""
_READ_SECONDS = 1.0


class TimedOut(Exception):
    """A command exceeded its time limit and was killed."""


def run_command(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    command_sandbox: CommandSandbox | None,
    cancellation: Cancellation,
    on_line: Callable[[str], None],
    timeout_seconds: float | None = None,
) -> int:
    """Run a command to its end and return its exit code (128 + n for signal n, as in a shell).

    on_line is called with each line of its output, standard error included, without the line end, cut at
    LONGEST_LINE. command_sandbox, environ: see processes.start. Its standard input is empty. Raises Cancelled,
    TimedOut, and FileNotFoundError or PermissionError if the program can't be started. On return its process group is
    dead.
    """
    cancellation.check()
    deadline = None if timeout_seconds is None else Deadline(timeout_seconds)
    # A character has at most four bytes.
    with (
        start(
            argv,
            cwd=cwd,
            environ=environ,
            command_sandbox=command_sandbox,
            joins_errors=True,
            longest_line_bytes=4 * LONGEST_LINE,
        ) as process,
        cancellation.calling(process.kill),
    ):
        while not process.is_over and not (deadline and deadline.is_over):
            for line in process.read(min(_READ_SECONDS, deadline.left_seconds) if deadline else _READ_SECONDS):
                on_line(line.text[:LONGEST_LINE])
        in_time = process.is_over
    cancellation.check()
    if process.broken_bound:
        on_line(BROKEN[process.broken_bound])
    if not in_time:
        raise TimedOut(f"{argv[0]} took longer than {timeout_seconds:g} s and was killed")
    return process.code


def kill_all_below(home: Path) -> int:
    """Kill every process whose HOME is `home` or a directory below it; returns how many. Safe to repeat.

    Finds processes that outlived their command and, at start, those that a killed runner left.
    """
    return signal_processes(_with_home_below(home), signal.SIGKILL)


def pids_below(home: Path) -> set[int]:
    """The processes whose HOME is `home` or a directory below it, and their descendants, whatever their HOME is.

    Of a confined command, these are all processes: bubblewrap has the command's HOME.
    """
    found = {process.pid: process for process in _with_home_below(home)}
    pids = set(found)
    for process in found.values():
        with contextlib.suppress(psutil.Error):
            if process.ppid() not in found:
                pids |= {below.pid for below in process.children(recursive=True)}
    return pids


def _with_home_below(home: Path) -> Iterator[psutil.Process]:
    inside = f"{home}{os.sep}"

    def is_below(process: psutil.Process) -> bool:
        return f"{environment_of(process).get('HOME', '')}{os.sep}".startswith(inside)

    return find_processes(is_below)
