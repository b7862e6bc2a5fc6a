"""The files in which the units of a supervisor are recorded, and the processes that belong to a recorded unit.

The guard of each supervisor consists of this module, so it imports no sandbox and no event loop.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psutil

from common.machine.processes.process_trees import environment_of, find_processes, signal_processes
from common.machine.waiting import Deadline

MARK_VARIABLE = "RUNTIME_UNIT"
KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Record:
    """pid, started: of the session leader (started: see started_at). None: it was just being started."""

    mark: str
    pid: int | None
    started: tuple[str, int] | None


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
        return pid in below or os.getsid(pid) in sessions or environment_of(process).get(MARK_VARIABLE) in marks

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


def _descendants(pid: int) -> list[psutil.Process]:
    """All descendants of a process in every pid namespace; empty if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def family(record: Record) -> list[psutil.Process]:
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
    started = started_at(record.pid)
    return leader_may_be_gone if started is None else record.started in (None, started)


def started_at(pid: int) -> tuple[str, int] | None:
    """When a process started: the id of the machine's boot, and the clock ticks since then. None if it has ended.

    No other process with this pid has the same. psutil's create_time changes when the machine's clock is set.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    # The 22nd field of all, see proc(5). The name of the program, the second one, may hold spaces and parentheses.
    return _boot_id(), int(fields[19])


@functools.cache
def _boot_id() -> str:
    """Empty where the system does not tell it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def write(file: Path, record: Record) -> None:
    """Store a record. Its mark is the name of the file."""
    file.write_text(json.dumps([record.pid, *(record.started or (None, None))]), encoding="utf-8")


def _read(file: Path) -> Record:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        if len(fields) == 2:
            return _read_older(file.stem, *fields)
        pid, boot_id, ticks = fields
    except (OSError, ValueError):
        # The file is incomplete, because its writer was killed. Its name, which is the mark, is valid.
        return Record(file.stem, None, None)
    return Record(file.stem, pid, None if ticks is None else (boot_id, ticks))


def _read_older(mark: str, pid: int | None, created_at: float | None) -> Record:
    """A record of an older AiWorker, which stored psutil's create_time."""
    if pid is not None and created_at is not None:
        with contextlib.suppress(psutil.Error):
            if abs(psutil.Process(pid).create_time() - created_at) < 0.5:
                return Record(mark, pid, started_at(pid))
    return Record(mark, None, None)
