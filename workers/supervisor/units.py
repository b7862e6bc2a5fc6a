"""Start commands and end them with all their descendants.

A unit is one started command with all its descendants. Its processes are found by its session id and by a random mark
in their environment, which daemons that left the session have too; never by a program's name. A confined unit has a pid
namespace of its own, which no process can leave: its processes are the descendants of its leader, and end with it.
Every unit is recorded in a file, so the guard and the next supervisor can kill the units of a killed supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from common.machine.children import tied_to_parent
from common.machine.process_trees import find_processes, signal_processes
from common.machine.waiting import Deadline
from common.settings.private_files import USUAL_UMASK
from workers.sandbox.sandboxes import Enclosed, Refusal, Sandboxes
from workers.sandbox.walls import Dialer, Reach, Walls
from workers.supervisor.logs import Sink

MARK_VARIABLE = "RUNTIME_UNIT"
KILL_SECONDS = 5.0
LOOPBACK = "127.0.0.1"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Record:
    """pid, started: of the session leader (started: psutil's create_time). None: it was just being started."""

    mark: str
    pid: int | None
    started: float | None


def members(records: Collection[Record], *, leader_may_be_gone: bool) -> list[psutil.Process]:
    """Return the living processes of these units.

    leader_may_be_gone: match a session id even if its leader has ended. Only safe for the leader's parent process; for
    any other, the pid may have been reused since.
    """
    sessions = {record.pid for record in records if record.pid and _has_session(record, leader_may_be_gone)}
    marks = {record.mark for record in records}
    below = {process.pid for pid in sessions for process in _descendants(pid)}

    def is_member(process: psutil.Process) -> bool:
        pid = process.pid
        return pid in below or os.getsid(pid) in sessions or process.environ().get(MARK_VARIABLE) in marks

    return list(find_processes(is_member))


def kill_recorded(directory: Path) -> None:
    """Kill all units that are recorded in this directory, wait for their end, and delete the directory.

    Blocks for at most KILL_SECONDS. Safe to repeat.
    """
    records = [_read(file) for file in directory.glob("*.json")]
    deadline = Deadline(KILL_SECONDS)
    while records and (alive := members(records, leader_may_be_gone=False)) and not deadline.is_over:
        signal_processes(alive, signal.SIGKILL)
        time.sleep(0.02)
    shutil.rmtree(directory, ignore_errors=True)


class Unit:
    """One started command. Created by `Processes.start`."""

    def __init__(
        self,
        record: Record,
        file: Path,
        process: asyncio.subprocess.Process,
        pump: asyncio.Task[None],
        enclosed: Enclosed | None,
    ) -> None:
        self._record = record
        self._file = file
        self._process = process
        self._pump = pump
        self._enclosed = enclosed
        # One thread for each unit: a program that stops its sandbox's first process makes only itself wait.
        self._dialling = ThreadPoolExecutor(1, "dial")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_confined(self) -> bool:
        return self._enclosed is not None and self._enclosed.is_confined

    @property
    def dialer(self) -> Dialer | None:
        """What connects to its ports, if it was started with needs_dial; None: they are this machine's."""
        return self._enclosed

    async def connect(self, port: int, *, limit: int = 2**16) -> Streams:
        """Connect to a port of loopback in the network of the unit. limit: see asyncio's streams. Raises OSError."""
        if self._enclosed is None or not self.is_confined:
            return await asyncio.open_connection(LOOPBACK, port, limit=limit)
        loop = asyncio.get_running_loop()
        try:
            dialled = await loop.run_in_executor(self._dialling, self._enclosed.dial, port)
        except RuntimeError as error:
            raise ConnectionRefusedError("the unit has stopped") from error
        try:
            dialled.setblocking(False)
            await loop.sock_connect(dialled, (LOOPBACK, port))
            return await asyncio.open_connection(sock=dialled, limit=limit)
        except BaseException:
            dialled.close()
            raise

    async def wait(self) -> int:
        """Wait for the command and return its exit status; negative: the signal that killed it. Its output is in the
        log then."""
        status = await self._process.wait()
        # A background process may keep the pipe open for ever, so this wait is short.
        await asyncio.wait({self._pump}, timeout=0.5)
        return status if self._enclosed is None else self._enclosed.exit_status(status)

    @property
    def has_met_memory_bound(self) -> bool:
        """Whether the kernel, or the sandbox, killed it for the bound of its walls. Ask before `stop`."""
        return self._enclosed is not None and self._enclosed.broken_bound == "memory"

    @property
    def sandbox_failure(self) -> str | None:
        """Why its sandbox did not let it start, which is no fault of the command; None: it did. Ask at its end."""
        return None if self._enclosed is None else self._enclosed.failure

    def resident_bytes(self) -> int:
        """Return the present resident memory of all processes of the unit."""
        total = 0
        for process in self._members():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    async def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM to all processes of the unit, SIGKILL after grace_seconds, and return when all have ended."""
        deadline = Deadline(grace_seconds)
        alive = self._members()
        if grace_seconds:
            signal_processes(alive, signal.SIGTERM)
            while alive and not deadline.is_over:
                await asyncio.sleep(0.03)
                alive = self._members()
        deadline = Deadline(KILL_SECONDS)
        while alive and not deadline.is_over:
            signal_processes(alive, signal.SIGKILL)
            await asyncio.sleep(0.02)
            alive = self._members()
        await self._process.wait()
        await asyncio.wait({self._pump}, timeout=1)
        self._pump.cancel()
        self._dialling.shutdown(wait=False, cancel_futures=True)
        if self._enclosed is not None:
            # Of a confined unit, this waits for the end of processes that have lost their leader.
            await asyncio.to_thread(self._enclosed.close)
        self._file.unlink(missing_ok=True)

    def _members(self) -> list[psutil.Process]:
        if self.is_confined:
            # The search below reads the environment of every process of the machine, which takes long.
            return _family(self._record)
        return members([self._record], leader_may_be_gone=True)


class Processes:
    """Starts units for one supervisor and records them in its own directory."""

    def __init__(self, directory: Path, sandboxes: Sandboxes) -> None:
        self.sandboxes = sandboxes
        self._epoch = secrets.token_hex(8)
        self.directory = directory / self._epoch
        self.directory.mkdir(parents=True)

    def has_own_network(self, reach: Reach) -> bool:
        """Whether a command with this reach gets a network of its own, in which every port is free."""
        return not self.sandboxes.shares_network(reach)

    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        sink: Sink,
        walls: Walls | None,
        on_refusal: Callable[[Refusal], None] | None = None,
        needs_dial: bool = False,
    ) -> Unit:
        """Start a command in its own session, with its output sent to the sink. Raises OSError if that fails.

        walls, on_refusal, needs_dial: see `Sandboxes.enclose`. walls None: a program of AiWorker; it is not confined.
        """
        mark = f"{self._epoch}-{secrets.token_hex(8)}"
        environ = {**env, MARK_VARIABLE: mark}
        enclosed = None if walls is None else self.sandboxes.enclose(
            argv, cwd=cwd, environ=environ, walls=walls, on_refusal=on_refusal, needs_dial=needs_dial
        )  # fmt: skip
        file = self.directory / f"{mark}.json"
        try:
            # Recorded before it starts, so that there is no moment in which it runs unrecorded.
            _write(file, Record(mark, None, None))
            process, pump = await _started_process(enclosed or Enclosed(argv, cwd, environ), sink)
        except BaseException:
            file.unlink(missing_ok=True)
            if enclosed is not None:
                enclosed.close()
            raise
        if enclosed is not None:
            enclosed.begin(process.pid)
        record = Record(mark, process.pid, _started(process.pid))
        _write(file, record)
        return Unit(record, file, process, pump, enclosed)


async def _started_process(enclosed: Enclosed, sink: Sink) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
    """Start the command; the task copies its output to the sink."""
    # Not asyncio's pipe: with that, `wait` would last until every process that holds the pipe has ended.
    ours, theirs = os.pipe()
    pump = asyncio.create_task(_copy(ours, sink))
    try:
        process = await asyncio.create_subprocess_exec(
            # This ends only the command itself if the supervisor dies; the guard kills its descendants.
            *tied_to_parent(),
            *enclosed.argv,
            cwd=enclosed.cwd,
            env=enclosed.environ,
            pass_fds=enclosed.pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            umask=USUAL_UMASK,
        )
    finally:
        os.close(theirs)
    return process, pump


async def _copy(descriptor: int, sink: Sink) -> None:
    """Copy the pipe's content to the sink until its other end is closed, then close this end."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        while chunk := await reader.read(64 * 1024):
            sink.write(chunk)
    finally:
        sink.end()
        transport.close()


def _descendants(pid: int) -> list[psutil.Process]:
    """All descendants of a process in every pid namespace; empty if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _family(record: Record) -> list[psutil.Process]:
    """The living processes of a confined unit; empty if its leader has ended, which ends the others."""
    found = []
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(record.pid)
        if _has_session(record, leader_may_be_gone=False):
            for process in (leader, *leader.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found.append(process)
    return found


def _has_session(record: Record, leader_may_be_gone: bool) -> bool:
    if record.pid is None:
        return False
    started = _started(record.pid)
    return leader_may_be_gone if started is None else record.started is None or abs(started - record.started) < 0.5


def _started(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _write(file: Path, record: Record) -> None:
    file.write_text(json.dumps([record.pid, record.started]), encoding="utf-8")


def _read(file: Path) -> Record:
    try:
        pid, started = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # The file is incomplete, because its writer was killed. Its name, which is the mark, is valid.
        return Record(file.stem, None, None)
    return Record(file.stem, pid, started)
