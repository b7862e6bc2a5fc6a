"""Keeps a set of programs running: starts them, restarts those that end, and stops them in a given order.

Owns the children of `aiworker up` and their log files. web/launcher/programs.py defines the programs, and
web/launcher/up.py decides when they start.

One thread does everything, in `step`. This is necessary: the kernel sends a child its parent-death signal when the
*thread* that started it ends, so only a thread that lives to the end may start children.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import Misconfigured
from common.machine.log_files import RotatedLog
from common.machine.processes.children import PARENT_DEATH_COMMAND, has_ended, kill_group, signal_name
from common.machine.waiting import Deadline, growing_delay
from web.launcher.forks import Fork, Module, fork_modules, reap_adopted

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
STABLE_SECONDS = 10.0
"""A program that has run this long has started; when it ends later, failures are counted from one again."""
FAILURES_TO_SHOW = 3
LOG_LIMIT_BYTES = 16 * 2**20
TAIL_LINES = 15
ECHO_LINES = 5
ECHO_WINDOW_SECONDS = 10.0

# The formats of our own lines, of Celery, of gunicorn and of the standard library; elsewhere the words mean nothing.
_IMPORTANT = re.compile(
    rb'"level": ?"(warning|error|critical)"'
    rb"|^\[[^\]]*: (WARNING|ERROR|CRITICAL)/|\[(WARNING|ERROR|CRITICAL)\]|^(WARNING|ERROR|CRITICAL)\b"
    rb"|^Traceback \(most recent"
)


@dataclass(frozen=True)
class Program:
    """A program to run. name: also the name of its log. environment: the process's whole environment.

    entry: None, or the module that `argv` names as `python -m MODULE …`: its `main` is run by a fork. may_end: it
    is not started again after exit status 0.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    entry: str | None = None
    may_end: bool = False


@dataclass(eq=False)
class _Child:
    program: Program
    log: RotatedLog
    process: subprocess.Popen[bytes] | Fork | None = None
    started_at: float = 0.0
    start_again_at: float | None = None
    quick_failures: int = 0
    stopping: bool = False
    partial_line: bytes = b""
    tail: deque[bytes] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    echo_from: float = 0.0
    echoed: int = 0


class Processes:
    """The running programs. say: prints one line to the terminal. Not thread-safe: see the module's docstring."""

    def __init__(self, log_dir: Path, say: Callable[[str], None]) -> None:
        log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._say = say
        self._children: dict[str, _Child] = {}
        self._selector = selectors.DefaultSelector()

    def start(self, *programs: Program) -> None:
        """Start programs and keep them running. Forks that are started together share memory.

        Raises Misconfigured if a binary can't be executed.
        """
        children = []
        for program in programs:
            # Each start of the platform begins the log anew; the previous one is kept beside it.
            path = self._log_dir / f"{program.name}.log"
            child = _Child(program, RotatedLog(path, most_bytes=LOG_LIMIT_BYTES, begins_anew=True))
            self._children[program.name] = child
            children.append(child)
        self._spawn(*children)

    def pid(self, name: str) -> int | None:
        """The process id of a program; None while it is down."""
        process = self._children[name].process
        return process.pid if process else None

    def has_failed_to_start(self, name: str) -> bool:
        """Whether the program ended soon after its start at least three times in a row."""
        return self._children[name].quick_failures >= FAILURES_TO_SHOW

    def tail(self, name: str) -> list[str]:
        """The last lines of the program's output, oldest first."""
        return [line.decode(errors="replace") for line in self._children[name].tail]

    def step(self, timeout_seconds: float = 0.25) -> None:
        """Read the programs' output and restart ended programs whose delay is over. Returns after the timeout."""
        if self._selector.get_map():
            for key, _ in self._selector.select(timeout_seconds):
                self._read(key.data)
        else:
            time.sleep(timeout_seconds)
        reap_adopted()
        for child in self._children.values():
            self._reap(child)
            if child.start_again_at is not None and time.monotonic() >= child.start_again_at:
                self._start_again(child)

    def stop(self, names: Iterable[str], *, patience_seconds: float) -> None:
        """Terminate these programs together, and kill those that do not end in time. Returns when all have ended."""
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.stopping = True
            child.start_again_at = None
            if child.process:
                child.process.terminate()
        deadline = Deadline(patience_seconds)
        while any(child.process for child in children) and not deadline.is_over:
            self.step(0.05)
        for child in children:
            if child.process:
                self._say(f"{child.program.name} did not end within {patience_seconds:.0f} s and is killed")
                kill_group(child.process.pid)
                child.process.wait()
                self._reap(child)
            child.log.close()
            del self._children[child.program.name]

    def kill_all(self) -> None:
        """Kill every program without waiting. May be called from a signal handler: it takes no lock."""
        for child in self._children.values():
            child.stopping = True
            if child.process and child.process.returncode is None:
                kill_group(child.process.pid)

    def close(self) -> None:
        """Stop the remaining programs and close their files."""
        self.stop(list(self._children), patience_seconds=2)
        self._selector.close()

    def _spawn(self, *children: _Child) -> None:
        forked = [child for child in children if child.program.entry is not None]
        for child in children:
            child.start_again_at = None
            if child not in forked:
                self._watch(child, _executed(child.program))
        if forked:
            for child, fork in zip(forked, fork_modules([_module(child.program) for child in forked]), strict=True):
                self._watch(child, fork)

    def _start_again(self, child: _Child) -> None:
        """Later, if the machine has no memory, processes or files for it now: the others are not to end for that."""
        try:
            self._spawn(child)
        except (OSError, Misconfigured) as error:
            child.quick_failures += 1
            delay = self._delay(child)
            reason = error.strerror if isinstance(error, OSError) else error
            self._say(f"{child.program.name} can't be started: {reason}; it is tried again in {delay:.1f} s")

    def _delay(self, child: _Child) -> float:
        """How long it waits for its next start, from now on: longer with each failure."""
        delay = growing_delay(
            child.quick_failures, first_seconds=FIRST_DELAY_SECONDS, longest_seconds=LONGEST_DELAY_SECONDS
        )
        child.start_again_at = time.monotonic() + delay
        return delay

    def _watch(self, child: _Child, process: subprocess.Popen[bytes] | Fork) -> None:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        child.process = process
        child.started_at = time.monotonic()

    def _read(self, child: _Child) -> None:
        """Read what is in the pipe, at most 1 MiB: a program that writes all the time must not block the others."""
        process = child.process
        if process is None or process.stdout is None or process.stdout.closed:
            return
        for _ in range(16):
            chunk = process.stdout.read(65536)
            if not chunk:  # None: empty at present. b"": closed by all writers.
                if chunk == b"":
                    self._selector.unregister(process.stdout)
                    process.stdout.close()
                return
            child.log.write(chunk)
            *lines, child.partial_line = (child.partial_line + chunk).split(b"\n")
            child.partial_line = child.partial_line[-65536:]
            for line in lines:
                self._show(child, line)

    def _show(self, child: _Child, line: bytes) -> None:
        child.tail.append(line)
        if not _IMPORTANT.search(line):
            return
        now = time.monotonic()
        if now - child.echo_from > ECHO_WINDOW_SECONDS:
            child.echo_from, child.echoed = now, 0
        child.echoed += 1
        if child.echoed <= ECHO_LINES:
            self._say(f"{child.program.name}: {line.decode(errors='replace')[:300]}")
        elif child.echoed == ECHO_LINES + 1:
            self._say(f"{child.program.name}: more in {child.log.path}")

    def _reap(self, child: _Child) -> None:
        process = child.process
        if process is None:
            return
        if process.returncode is None:
            # Kill the group before its dead leader is reaped: until then no other process can get its id.
            if not has_ended(process.pid):
                return
            kill_group(process.pid)
        returncode = process.wait()
        self._read(child)
        if process.stdout is not None and not process.stdout.closed:
            self._selector.unregister(process.stdout)
            process.stdout.close()
        if child.partial_line:
            self._show(child, child.partial_line)
            child.partial_line = b""
        child.process = None
        if not child.stopping:
            self._plan_restart(child, returncode)

    def _plan_restart(self, child: _Child, returncode: int) -> None:
        if returncode == 0 and child.program.may_end:
            ended = f"{child.program.name} ended as it was told to"
            self._say(f"{ended}, so it is not started again before the next start of the platform")
            return
        started = time.monotonic() - child.started_at >= STABLE_SECONDS
        child.quick_failures = 1 if started else child.quick_failures + 1
        delay = self._delay(child)
        how = f"by signal {signal_name(-returncode)}" if returncode < 0 else f"with code {returncode}"
        self._say(f"{child.program.name} ended {how}; it is started again in {delay:.1f} s")
        if child.quick_failures == FAILURES_TO_SHOW:
            self._say(f"{child.program.name} does not start. The end of {child.log.path}:")
            for line in self.tail(child.program.name):
                self._say(f"    {line}")


def _executed(program: Program) -> subprocess.Popen[bytes]:
    try:
        # A child dies with this process, even after kill -9. In a session of its own it does not get the terminal's
        # Ctrl-C, so that this process decides the order of stopping.
        return subprocess.Popen(
            [*PARENT_DEATH_COMMAND, *program.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=program.directory,
            env=dict(program.environment),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Misconfigured(f"{error.filename} is not installed (on Debian: apt-get install util-linux)") from error


def _module(program: Program) -> Module:
    assert program.entry is not None
    _python, _m, _module, *arguments = program.argv
    return Module(program.entry, arguments, program.environment, program.directory, program.name)
