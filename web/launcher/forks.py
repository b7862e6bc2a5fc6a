"""Starts Python programs as forks, which share the memory of the modules that they load.

`fork_modules` starts a template, a fork of this process that loads the modules, forks each program from itself and
ends. So this process stays small, and each program is its child all the same. A program has its own session,
environment, directory and output, and dies with this process, as executed programs do. The machine shows it otherwise:
`ps` has this process's arguments and the program's own name.

This process must have one thread: a lock that another thread holds would stay locked in the fork.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from common.machine.imports_without_gc import without_garbage_collection
from common.settings import settings

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_MOST_PRINTED = 32 * 1024
"""Bytes of what is printed while modules are loaded; half of a pipe."""
# Loaded before the first fork: afterwards a fork needs no import.
_prctl = ctypes.CDLL(None).prctl


_adopted: set[int] = set()


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

    environment: its whole environment. title: the process's name, of which the kernel keeps 15 bytes.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    title: str


def fork_module(module: Module) -> Fork:
    """Start a program that ends soon, without a template. Call it from the main thread."""
    _prepare_to_fork()
    reading, writing = os.pipe()
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(module, writing, launcher, template=None)
    os.close(writing)
    return Fork(pid, os.fdopen(reading, "rb", buffering=0))


def fork_modules(modules: Sequence[Module]) -> list[Fork]:
    """Start these programs, which share their memory. Call it from the main thread; it waits for the loading.

    A program that could not be started has ended with status 1 already; the reason is in the output of the first one.
    Raises OSError, and leaves nothing open, if the machine has no room for the pipes or the template.
    """
    _prepare_to_fork()
    launcher, before = os.getpid(), _children()
    with contextlib.ExitStack() as undoing:
        outputs = [_pipe(undoing) for _ in modules]
        reading, writing = _pipe(undoing)
        # The template's children become this process's when the template ends.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        undoing.callback(_prctl, _PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        template = os.fork()
        undoing.pop_all()
    if template == 0:
        _be_template(modules, [output for _, output in outputs], writing, launcher)
    for descriptor in (writing, *(output for _, output in outputs)):
        os.close(descriptor)
    with os.fdopen(reading) as report:
        pids = [int(pid) for pid in report.read().split()]
    os.waitpid(template, 0)
    _prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    _adopted.update(_children() - before - set(pids))
    pids += [_ended_child() for _ in modules[len(pids) :]]
    return [Fork(pid, os.fdopen(output, "rb", buffering=0)) for pid, (output, _) in zip(pids, outputs, strict=True)]


def _pipe(undoing: contextlib.ExitStack) -> tuple[int, int]:
    """Its two ends, which are closed when what is undone is. Raises OSError."""
    ends = os.pipe()
    for end in ends:
        undoing.callback(os.close, end)
    return ends


def reap_adopted() -> None:
    """Collect ended processes of others whose parents ended while a template was loading. Safe to repeat."""
    for pid in list(_adopted):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _adopted.discard(pid)


def _children() -> set[int]:
    """This process's children, ended ones too. Empty where the kernel does not tell: then they stay uncollected."""
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()


def _prepare_to_fork() -> None:
    if threading.active_count() != 1:
        raise RuntimeError(f"a process with several threads can't be forked: {threading.enumerate()}")
    sys.stdout.flush()
    sys.stderr.flush()


def _ended_child() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(1)
    return pid


def _be_template(modules: Sequence[Module], outputs: Sequence[int], report: int, launcher: int) -> NoReturn:
    """Load the modules, fork a program for each, write their process ids to `report`, and end."""
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        template = os.getpid()
        with _written_at_the_end(outputs[0]), without_garbage_collection():
            for module in modules:
                importlib.import_module(module.name)
        for module, output in zip(modules, outputs, strict=True):
            pid = os.fork()
            if pid == 0:
                _become(module, output, launcher, template)
            os.write(report, f"{pid}\n".encode())
    except BaseException:  # noqa: BLE001 (the end of a process)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


@contextlib.contextmanager
def _written_at_the_end(output: int) -> Iterator[None]:
    """Keep what is printed inside, and then write the end of it, which a pipe holds: nobody reads `output` yet."""
    kept = os.memfd_create("printed")
    try:
        _print_to(kept)
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        size = os.lseek(kept, 0, os.SEEK_END)
        os.write(output, os.pread(kept, _MOST_PRINTED, max(0, size - _MOST_PRINTED)))
        _print_to(output)
        os.close(kept)


def _print_to(file: int) -> None:
    for number in (1, 2):
        os.dup2(file, number)


def _become(module: Module, output: int, launcher: int, template: int | None) -> NoReturn:
    """Run the module as this process, and end. Never returns to what the launcher was doing, nor unwinds it."""
    status = 1
    try:
        _leave_launcher(output)
        while os.getppid() == template:
            time.sleep(0.001)
        # It is for the end of the present parent, which the template no longer is.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != launcher:
            os._exit(1)
        _prctl(_PR_SET_NAME, module.title.encode(), 0, 0, 0)
        os.environ.clear()
        os.environ.update(module.environment)
        settings.cache_clear()
        os.chdir(module.directory)
        sys.argv = [module.name, *module.arguments]
        importlib.import_module(module.name).main()
        status = 0
    except SystemExit as end:
        status = _status_of(end)
    except BaseException:  # noqa: BLE001 (the end of a process)
        traceback.print_exc()
    finally:
        _end(status)


def _leave_launcher(output: int) -> None:
    """Drop what belongs to the launcher alone: its session, its signal handlers, and its files with their locks."""
    os.setsid()
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
