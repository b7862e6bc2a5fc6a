"""The one place where a process is started below the runner: its output, its input, and the end of its whole tree.

One thread reads a process (`read`), which is also what feeds its input and moves a stop from SIGINT to SIGKILL, so a
process that writes faster than it is read waits in its pipe, and nothing grows in memory. Every process leads a session
of its own. Processes that left it are found by HOME: `commands.kill_all_below`. In a sandbox all of them end with the
first one.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from common.machine.processes.children import has_ended, kill_group
from common.machine.processes.process_trees import kill_tree, signal_processes
from common.settings.private_files import USUAL_UMASK
from workers.runner.processes.private_streams import PrivateStreams
from workers.runner.processes.run_confinement import CommandSandbox
from workers.sandbox.sandboxes import Enclosed

logger = logging.getLogger("workers.runner")

LONGEST_LINE_BYTES = 16 * 2**20
"""Of a longer line of standard output, the rest is left out."""
KEPT_ERROR_BYTES = 2**16
"""How much of the end of standard error is kept."""
GRACE_SECONDS = 5.0
"""How long a process that is stopped has after SIGINT, and again after SIGTERM."""
_MOST_ERROR_LINES = 500
"""Most lines of standard error of one process that are logged (at DEBUG)."""
_LONGEST_ERROR_LINE = 2000
_POLL_SECONDS = 0.05
_CHUNK_BYTES = 65536
_CHUNKS_AFTER_EXIT = 16
_LOOK, _RETURN = b".", b"!"
"""What wakes the reading thread: to look at what was asked of it, or to return."""
_STAGES = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@dataclass(frozen=True)
class Line:
    """A line of standard output, without its end. left_out_bytes: how much of it was left out, as it was too long."""

    text: str
    left_out_bytes: int = 0


def start(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    command_sandbox: CommandSandbox | None,
    has_input: bool = False,
    joins_errors: bool = False,
    is_private: bool = False,
    longest_line_bytes: int = LONGEST_LINE_BYTES,
) -> Process:
    """Start a process. Its environment is exactly `environ`, and what the sandbox adds.

    command_sandbox: what confines it; None: nothing does, for programs of our own that obey nothing in the clone.
    has_input: its standard input stays open for `write`; otherwise it is empty. joins_errors: standard error goes into
    standard output. is_private: its standard input and output are sockets, which no other process opens
    (private_streams.py). Raises FileNotFoundError, PermissionError or another OSError if it can't be started.
    """
    enclosed = Enclosed(argv, cwd, environ) if command_sandbox is None else command_sandbox.enclose(argv, cwd, environ)
    try:
        with contextlib.ExitStack() as stack:
            private = stack.enter_context(PrivateStreams(has_input=has_input)) if is_private else None
            child = subprocess.Popen(
                enclosed.argv,
                cwd=enclosed.cwd,
                env=enclosed.environ,
                pass_fds=enclosed.pass_fds,
                stdin=private.stdin if private else subprocess.PIPE if has_input else subprocess.DEVNULL,
                stdout=private.stdout if private else subprocess.PIPE,
                stderr=subprocess.STDOUT if joins_errors else subprocess.PIPE,
                start_new_session=True,
                umask=USUAL_UMASK,
                bufsize=0,
            )
            if private:
                private.give(child)
    except BaseException:
        enclosed.close()
        raise
    enclosed.begin(child.pid)
    return Process(child, longest_line_bytes, enclosed)


class Process:
    """A started process. One thread reads it; `write`, `close_input`, `wake`, `stop` and `kill` are for any thread.

    A context manager: at the end the process and its descendants are killed, and `code` is known.
    """

    def __init__(self, child: subprocess.Popen[bytes], longest_line_bytes: int, enclosed: Enclosed) -> None:
        self._child = child
        self._enclosed = enclosed
        self._lock = threading.Lock()
        self._lines = _Lines(longest_line_bytes)
        self._errors = _Errors(child.pid)
        self._input = bytearray()
        self._closes_input = False
        self._stage = 0
        self._next_stage_at: float | None = None
        self._grace_seconds = GRACE_SECONDS
        self._is_reaped = False
        self._wake_reading, self._wake_writing = os.pipe()
        self._end = _end_of(child.pid)
        self._selector = selectors.DefaultSelector()
        for descriptor in (self._wake_reading, *self._end):
            self._selector.register(descriptor, selectors.EVENT_READ)
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, selectors.EVENT_READ)
        for descriptor in (self._wake_reading, self._wake_writing, *([child.stdin.fileno()] if child.stdin else [])):
            os.set_blocking(descriptor, False)
        self.is_over = False
        """Whether it has ended and all of its output was read."""
        self.broken_bound: str | None = None
        """Which bound of its sandbox was broken, `memory` or `processes`; None: none. Known after the `with` block."""
        self.last_output_at = time.monotonic()
        """When it last wrote anything, on the monotonic clock."""

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def code(self) -> int:
        """Its exit code, 128 + n for signal n, as in a shell. Known after the `with` block."""
        code = self._child.returncode
        assert code is not None, "the process is still running"
        code = self._enclosed.exit_status(code)
        return code if code >= 0 else 128 - code

    @property
    def error_bytes(self) -> int:
        """How much of its standard error was read."""
        return self._errors.count

    def error_text(self, *, after: int = 0) -> str:
        """The end of its standard error, of what follows its first `after` bytes."""
        return self._errors.text(after)

    @property
    def is_stopping(self) -> bool:
        return self._next_stage_at is not None

    def write(self, text: str) -> None:
        """Queue a text for its standard input. What it does not read is dropped when it ends."""
        with self._lock:
            self._input += text.encode("utf-8", "replace")
        self._poke(_LOOK)

    def close_input(self) -> None:
        """Close its standard input once everything queued is written."""
        self._closes_input = True
        self._poke(_LOOK)

    def wake(self) -> None:
        """Make the present or next `read` return at once."""
        self._poke(_RETURN)

    def _poke(self, what: bytes) -> None:
        # Under the lock, as the descriptor's number may be another file's after the end.
        with self._lock, contextlib.suppress(OSError):
            os.write(self._wake_writing, what)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Begin to end its whole tree: SIGINT, after a grace SIGTERM, after another SIGKILL. Returns at once; the
        thread that reads goes through the steps. Repeating it changes nothing."""
        with self._lock:
            if self._next_stage_at is None:
                self._grace_seconds = grace_seconds
                self._next_stage_at = time.monotonic()
        self._poke(_LOOK)

    def kill(self) -> None:
        """Kill its whole tree now. Safe to repeat, and after its end."""
        with self._lock:
            if not self._is_reaped:
                kill_tree(self.pid)

    def read(self, wait_seconds: float) -> list[Line]:
        """Return the next lines; none after wait_seconds, after `wake`, and at its end (`is_over`)."""
        until = time.monotonic() + wait_seconds
        while True:
            if has_ended(self.pid):
                return self._last_lines()
            self._take_next_stage()
            self._feed_input()
            lines, is_woken = self._look(min(self._pause(), max(until - time.monotonic(), 0)))
            if lines or is_woken or time.monotonic() >= until:
                return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            kill_tree(self.pid)
            self._child.wait()
            self._is_reaped = True
        self.broken_bound = self._enclosed.broken_bound
        self._enclosed.close()
        self._errors.close()
        self._selector.close()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with self._lock:
            for descriptor in (self._wake_reading, self._wake_writing, *self._end):
                os.close(descriptor)
            self._wake_writing = -1

    def _pause(self) -> float:
        if self._end and not self._input and not self.is_stopping:
            return math.inf
        # With both outputs closed there is nothing to wait for but the end.
        return _POLL_SECONDS if len(self._selector.get_map()) > 1 + len(self._end) else _POLL_SECONDS / 5

    def _look(self, seconds: float) -> tuple[list[Line], bool]:
        """Read what is there, waiting so long for it. Returns the lines, and whether `wake` was called."""
        lines: list[Line] = []
        is_woken = False
        for key, _ in self._selector.select(seconds):
            if key.fileobj == self._wake_reading:
                with contextlib.suppress(BlockingIOError):
                    is_woken = _RETURN in os.read(self._wake_reading, 4096)
            elif key.fileobj not in self._end:
                lines += self._read_from(key.fileobj)  # type: ignore[arg-type]
        return lines, is_woken

    def _read_from(self, stream: IO[bytes]) -> list[Line]:
        try:
            chunk = os.read(stream.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return []
        if not chunk:
            self._selector.unregister(stream)
            return []
        self.last_output_at = time.monotonic()
        if stream is self._child.stderr:
            self._errors.feed(chunk)
            return []
        return self._lines.feed(chunk)

    def _last_lines(self) -> list[Line]:
        """Everything that its pipes still hold. They hold little, so others that write to them do not keep us here."""
        self.kill()
        lines: list[Line] = []
        for _ in range(_CHUNKS_AFTER_EXIT):
            before = self.last_output_at
            lines += self._look(0)[0]
            if self.last_output_at == before:
                break
        lines += self._lines.close()
        self.is_over = True
        return lines

    def _take_next_stage(self) -> None:
        if self._next_stage_at is None or time.monotonic() < self._next_stage_at or self._stage >= len(_STAGES):
            return
        number = _STAGES[self._stage]
        self._stage += 1
        self._next_stage_at = time.monotonic() + self._grace_seconds
        if number is signal.SIGKILL:
            self.kill()
        else:
            _signal_tree(self.pid, number)

    def _feed_input(self) -> None:
        stdin = self._child.stdin
        if stdin is None or stdin.closed:
            return
        with self._lock:
            try:
                while self._input:
                    written = os.write(stdin.fileno(), self._input[:_CHUNK_BYTES])
                    del self._input[:written]
            except BlockingIOError:
                return
            except OSError:  # it has closed its input
                self._input.clear()
            if self._closes_input:
                with contextlib.suppress(OSError):
                    stdin.close()


def _end_of(pid: int) -> tuple[int, ...]:
    """A descriptor that tells the end of a child; none where the kernel, such as some of gVisor, has no such thing."""
    try:
        return (os.pidfd_open(pid),)
    except OSError:
        return ()


def _signal_tree(pid: int, number: signal.Signals) -> None:
    """Signal the group that `pid` leads, and its descendants in other groups. For a child that was not waited for."""
    others: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(OSError):
                if os.getpgid(process.pid) != pid:
                    others.append(process)
    kill_group(pid, number)
    signal_processes(others, number)


class _Lines:
    """Splits a stream of bytes into lines of bounded length."""

    def __init__(self, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._rest = bytearray()
        self._left_out_bytes = 0

    def feed(self, chunk: bytes) -> list[Line]:
        first, *others = chunk.split(b"\n")
        self._keep(first)
        lines = []
        for other in others:
            lines.append(self._take())
            self._keep(other)
        return lines

    def close(self) -> list[Line]:
        return [self._take()] if self._rest else []

    def _keep(self, part: bytes) -> None:
        room = self._longest_bytes - len(self._rest)
        self._rest += part[:room]
        self._left_out_bytes += max(len(part) - room, 0)

    def _take(self) -> Line:
        line = Line(self._rest.decode("utf-8", "replace").removesuffix("\r"), self._left_out_bytes)
        self._rest = bytearray()
        self._left_out_bytes = 0
        return line


class _Errors:
    """The end of standard error; its first lines are logged."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.count = 0
        self._end = bytearray()
        self._lines = _Lines(_LONGEST_ERROR_LINE)
        self._logged = 0

    def text(self, after: int) -> str:
        following = min(self.count - after, len(self._end))
        return self._end[len(self._end) - following :].decode("utf-8", "replace")

    def feed(self, chunk: bytes) -> None:
        self.count += len(chunk)
        self._end += chunk
        del self._end[:-KEPT_ERROR_BYTES]
        self._log(self._lines.feed(chunk))

    def close(self) -> None:
        self._log(self._lines.close())

    def _log(self, lines: Sequence[Line]) -> None:
        for line in lines[: _MOST_ERROR_LINES - self._logged]:
            self._logged += 1
            logger.debug("standard error", extra={"pid": self._pid, "line": line.text})
