"""Starting programs and ending them whole.

A unit is one started command with everything that it starts in turn. Its members are found by its session, and by a
random mark in their environment, which also those have that left the session (daemons) or whose parent is gone.
Nothing is ever found by its name. What was started is recorded in the directory: the guard and the next supervisor
kill by these records what a killed supervisor left.
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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from common.machine.children import tied_to_parent
from common.machine.process_trees import find_processes, signal_processes
from common.machine.waiting import Deadline
from common.settings.private_files import USUAL_UMASK
from workers.supervisor.logs import Sink

MARK_VARIABLE = "RUNTIME_UNIT"
KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Record:
    """pid and started (psutil's create_time) are of the session's leader; None: it was about to be started."""

    mark: str
    pid: int | None
    started: float | None


def members(records: Collection[Record], *, leader_may_be_gone: bool) -> list[psutil.Process]:
    """The living processes of these units.

    leader_may_be_gone: whether a session counts though its leader is gone. Only its own parent can say so: to anybody
    later the pid may since have been another's.
    """
    sessions = {record.pid for record in records if _has_session(record, leader_may_be_gone)}
    marks = {record.mark for record in records}

    def is_member(process: psutil.Process) -> bool:
        return os.getsid(process.pid) in sessions or process.environ().get(MARK_VARIABLE) in marks

    return list(find_processes(is_member))


def kill_recorded(directory: Path) -> None:
    """Kill whatever the records in this directory name, and wait until it is gone; then drop the records.

    Blocks for KILL_SECONDS at most. Safe to repeat.
    """
    records = [_read(file) for file in directory.glob("*.json")]
    deadline = Deadline(KILL_SECONDS)
    while records and (alive := members(records, leader_may_be_gone=False)) and not deadline.is_over:
        signal_processes(alive, signal.SIGKILL)
        time.sleep(0.02)
    shutil.rmtree(directory, ignore_errors=True)


class Unit:
    """One started command. Make it by `Processes.start`."""

    def __init__(
        self, record: Record, file: Path, process: asyncio.subprocess.Process, pump: asyncio.Task[None]
    ) -> None:
        self._record = record
        self._file = file
        self._process = process
        self._pump = pump

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Its exit status; negative: the signal that killed it. What it wrote by then is in its log."""
        status = await self._process.wait()
        # Something it left in the background may keep the pipe open for ever, so this is not waited for long.
        await asyncio.wait({self._pump}, timeout=0.5)
        return status

    def resident_bytes(self) -> int:
        """The sum over all its processes now."""
        total = 0
        for process in members([self._record], leader_may_be_gone=True):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    async def stop(self, grace_seconds: float) -> None:
        """Ask everything of it to end, kill what has not after grace_seconds, and return when all is gone."""
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
        self._file.unlink(missing_ok=True)

    def _members(self) -> list[psutil.Process]:
        return members([self._record], leader_may_be_gone=True)


class Processes:
    """Starts units for one supervisor and records them in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._epoch = secrets.token_hex(8)
        self.directory = directory / self._epoch
        self.directory.mkdir(parents=True)

    async def start(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], sink: Sink) -> Unit:
        """Start it in its own session, with its output going to the sink. Raises OSError where that can't be done."""
        mark = f"{self._epoch}-{secrets.token_hex(8)}"
        file = self.directory / f"{mark}.json"
        # Recorded before it exists, so that there is no moment in which it would be forgotten.
        _write(file, Record(mark, None, None))
        # A pipe of our own: asyncio's would make `wait` last until everything that holds it open has ended.
        ours, theirs = os.pipe()
        pump = asyncio.create_task(_copy(ours, sink))
        try:
            process = await asyncio.create_subprocess_exec(
                # The guard ends what the command itself starts in turn.
                *tied_to_parent(),
                *argv,
                cwd=cwd,
                env={**env, MARK_VARIABLE: mark},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                umask=USUAL_UMASK,
            )
        except OSError:
            file.unlink()
            raise
        finally:
            os.close(theirs)
        record = Record(mark, process.pid, _started(process.pid))
        _write(file, record)
        return Unit(record, file, process, pump)


async def _copy(descriptor: int, sink: Sink) -> None:
    """Copy what is written to the pipe until nobody holds its other end any more. Closes this one."""
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
        # Cut off while it was written: the mark, which is the name, is good all the same.
        return Record(file.stem, None, None)
    return Record(file.stem, pid, started)
