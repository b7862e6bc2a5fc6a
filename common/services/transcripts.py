"""What agents write while they work: stored in order, shown live to those who follow the task. Not events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from common.errors import Conflict, NotFound
from common.models.run import LogEntry, Run
from common.services.access import Caller
from common.services.jobs import announce_live
from common.services.runners import RunPrincipal
from common.states import Role
from common.transaction import Transaction, snapshot, transactional

KEPT_DAYS = 30
LONGEST = 16_000
"""Characters of one entry; more is cut, and says so."""

# Terminal sequences (CSI, OSC) and control characters: text from an agent is data, never a command to a terminal.
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Line:
    """at None: now."""

    level: str
    message: str
    kind: str = "log"
    at: datetime | None = None


@dataclass(frozen=True)
class Transcript:
    """next: what to pass as `after` for what comes later. is_live: more may come."""

    entries: Sequence[LogEntry]
    next: int
    is_live: bool


def clean(text: str) -> str:
    """Without terminal sequences and control characters but newline and tab; cut to LONGEST."""
    plain = _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))
    return plain if len(plain) <= LONGEST else plain[:LONGEST] + f"\n… cut, {len(plain) - LONGEST} characters more"


def append_lines(run: RunPrincipal, lines: Sequence[Line]) -> int:
    """Store the lines and show them to followers. Conflict if the run is over. Returns how many were taken."""
    entries = _store(run, lines)
    if entries:
        announce_live(
            run.project_id, run.task_id, "task:log", {"taskId": run.task_id, "runId": run.run_id, "entries": entries}
        )
    return len(entries)


@transactional
def _store(tx: Transaction, run: RunPrincipal, lines: Sequence[Line]) -> list[dict[str, Any]]:
    live = tx.session.execute(select(Run.live_task_id).where(Run.id == run.run_id)).scalar_one_or_none()
    if live is None:
        raise Conflict(f"run {run.run_id} is over: drop it")
    rows = [
        LogEntry(
            agent_id=run.agent_id, run_id=run.run_id, at=line.at or tx.now(), level=line.level, kind=line.kind,
            message=clean(line.message),
        )
        for line in lines
    ]  # fmt: skip
    tx.session.add_all(rows)
    tx.session.flush()
    return [entry_body(row) for row in rows]


def entry_body(row: LogEntry) -> dict[str, Any]:
    at = row.at.isoformat().replace("+00:00", "Z")
    return {"seq": row.id, "at": at, "level": row.level, "kind": row.kind, "message": row.message}


def report_progress(run: RunPrincipal, body: Mapping[str, Any]) -> None:
    """Tell followers how far the agent is; nothing is stored. Conflict if the run is over."""
    if not run.is_live:
        raise Conflict(f"run {run.run_id} is over: drop it")
    announce_live(run.project_id, run.task_id, "task:progress", {"taskId": run.task_id, "runId": run.run_id, **body})


def read_run(run_id: str, *, by: Caller) -> Run:
    with snapshot() as read:
        run = read.get(Run, run_id)
        if run is None:
            raise NotFound(f"run {run_id}")
        by.require_in(read, run.project_id, Role.VIEWER)
        return run


def read_transcript(run_id: str, *, after: int, limit: int, by: Caller) -> Transcript:
    """Entries after a seq, oldest first."""
    run = read_run(run_id, by=by)
    with snapshot() as read:
        entries = read.all(
            select(LogEntry).where(LogEntry.run_id == run.id, LogEntry.id > after).order_by(LogEntry.id).limit(limit)
        )
    return Transcript(entries, entries[-1].id if entries else after, run.live_task_id is not None)


@transactional
def purge_transcripts(tx: Transaction) -> None:
    """Remove entries older than KEPT_DAYS."""
    old = delete(LogEntry).where(LogEntry.at < tx.now() - timedelta(days=KEPT_DAYS))
    tx.session.execute(old.execution_options(synchronize_session=False))
