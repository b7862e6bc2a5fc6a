"""Commands of one run: each starts in its own process group, is read line by line, and is killed as a whole tree.

When a command exits, its background processes are killed with its group. Processes that left the group (setsid) are
found by the HOME in their environment, which is the run's directory. This cleans up; it is not a sandbox.
"""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from common.machine.children import has_ended
from common.machine.process_trees import find_processes, kill_tree, signal_processes
from common.machine.waiting import Deadline
from common.settings.private_files import USUAL_UMASK
from workers.runner.cancellation import Cancellation

LONGEST_LINE = 4000
_POLL_SECONDS = 0.05
_CHUNK_BYTES = 65536
_CHUNKS_AFTER_EXIT = 4


class TimedOut(Exception):
    """A command exceeded its time limit and was killed."""


def run_command(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    cancellation: Cancellation,
    on_line: Callable[[str], None],
    timeout_seconds: float | None = None,
) -> int:
    """Run a command to its end and return its exit code (128 + n for signal n, as in a shell).

    on_line is called with each line of its output, standard error included, without the line end, cut at
    LONGEST_LINE. Its environment is exactly `environ`, its standard input is empty. Raises Cancelled, TimedOut, and
    FileNotFoundError or PermissionError if the program can't be started. On return its process group is dead.
    """
    cancellation.check()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=USUAL_UMASK,
        bufsize=0,
    )
    deadline = None if timeout_seconds is None else Deadline(timeout_seconds)
    lines = _Lines(on_line)
    try:
        with cancellation.calling(lambda: kill_tree(process.pid)):
            in_time = _read(process, lines, deadline)
    finally:
        kill_tree(process.pid)
        code = process.wait()
        if process.stdout:
            process.stdout.close()
    lines.close()
    cancellation.check()
    if not in_time:
        raise TimedOut(f"{argv[0]} took longer than {timeout_seconds:g} s and was killed")
    return code if code >= 0 else 128 - code


def kill_all_below(home: Path) -> int:
    """Kill every process whose HOME is `home` or a directory below it; returns how many. Safe to repeat.

    Finds processes that outlived their command and, at start, those that a killed runner left.
    """
    inside = f"{home}{os.sep}"

    def is_below(process: psutil.Process) -> bool:
        return f"{process.environ().get('HOME', '')}{os.sep}".startswith(inside)

    return signal_processes(find_processes(is_below), signal.SIGKILL)


class _Lines:
    """Splits a stream of bytes into lines."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + self._decode(chunk)).split("\n")
        for line in lines:
            self._on_line(line.rstrip("\r")[:LONGEST_LINE])
        # A longer line is cut anyway, so only its beginning is kept in memory.
        self._rest = self._rest[: LONGEST_LINE + 1]

    def close(self) -> None:
        rest = self._rest + self._decode(b"", True)
        if rest:
            self._on_line(rest[:LONGEST_LINE])


def _read(process: subprocess.Popen[bytes], lines: _Lines, deadline: Deadline | None) -> bool:
    """Read until the process has exited; False if the deadline passed first.

    The end of the pipe does not tell the exit: a background child may keep the pipe open after it, or the command may
    have closed the pipe before.
    """
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        is_open = True
        while not has_ended(process.pid):
            if deadline is not None and deadline.is_over:
                return False
            if not is_open:
                time.sleep(_POLL_SECONDS / 5)
            elif selector.select(_POLL_SECONDS):
                is_open = _feed(descriptor, lines)
                if not is_open:
                    selector.unregister(descriptor)
        kill_tree(process.pid)
        # A pipe holds 64 KiB, so after four chunks all output of the command is read, even if others still write.
        for _ in range(_CHUNKS_AFTER_EXIT):
            if not (is_open and selector.select(0)):
                break
            is_open = _feed(descriptor, lines)
        return True


def _feed(descriptor: int, lines: _Lines) -> bool:
    chunk = os.read(descriptor, _CHUNK_BYTES)
    lines.feed(chunk)
    return bool(chunk)
