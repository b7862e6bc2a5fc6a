"""Starts a Python program as a fork of this process, which shares the memory of what this process has imported.

A fork has its own session, environment, directory and output, and dies with the thread that started it, as the programs
have that are executed. It differs from those in what the machine shows of it: `ps` shows this process's arguments and
the fork's own name. The process must have one thread: a lock that another thread holds would stay locked in the fork.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from common.machine.lasting import lasting
from common.settings import settings

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
# Loaded before the first fork: afterwards a fork needs no import.
_prctl = ctypes.CDLL(None).prctl


class Fork:
    """A started fork. stdout: what it writes to its standard output and error. Has the part of Popen that is used here.

    returncode: None while it has not been waited for; negative for a signal.
    """

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None

    def terminate(self) -> None:
        """Send SIGTERM, unless it has been waited for."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end. Returns the returncode; safe to repeat."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


@dataclass(frozen=True)
class Module:
    """What a fork runs: the function `main` of the module `name`, with these arguments in sys.argv.

    title: the process's name, of which the kernel keeps 15 bytes.
    """

    name: str
    arguments: Sequence[str]
    title: str


def preload(modules: Sequence[str]) -> None:
    """Import what the forks will need, so that they share it. Safe to repeat."""
    with lasting():
        for module in modules:
            importlib.import_module(module)


def fork_module(module: Module, environment: Mapping[str, str], directory: Path) -> Fork:
    """Start the module in a fork. environment: the whole environment of the fork. Call it from the main thread."""
    if threading.active_count() != 1:
        raise RuntimeError(f"a process with several threads can't be forked: {threading.enumerate()}")
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(module, environment, directory, writing, parent)
    os.close(writing)
    return Fork(pid, os.fdopen(reading, "rb", buffering=0))


def _become(module: Module, environment: Mapping[str, str], directory: Path, output: int, parent: int) -> NoReturn:
    """Run the module as this process, and end. Never returns to what the launcher was doing, nor unwinds it."""
    status = 1
    try:
        _leave_launcher(output, parent)
        _prctl(_PR_SET_NAME, module.title.encode(), 0, 0, 0)
        os.environ.clear()
        os.environ.update(environment)
        settings.cache_clear()
        os.chdir(directory)
        sys.argv = [module.name, *module.arguments]
        importlib.import_module(module.name).main()
        status = 0
    except SystemExit as end:
        status = _status_of(end)
    except BaseException:  # noqa: BLE001 (the end of a process)
        traceback.print_exc()
    finally:
        _end(status)


def _leave_launcher(output: int, parent: int) -> None:
    """Drop what belongs to the launcher alone: its session, its signal handlers, and its files with their locks."""
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    # The launcher's objects for these files are never closed here: nothing unwinds its frames or collects them.
    gc.freeze()
    os.closerange(3, 1 + max(map(int, os.listdir("/proc/self/fd"))))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The launcher's own streams may hold what it has not written yet.
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115


def _status_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _end(status: int) -> NoReturn:
    """End as a Python program does, without the launcher's frames."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(status & 0xFF)
