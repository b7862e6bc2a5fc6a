"""Transcripts: the log of a run, stored in order and shown live to followers of the task. Entries are not events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from common.errors import Conflict, NotFound
from common.machine.text import without_controls
from common.models.run import LogEntry, Run
from common.services.access import Caller
from common.services.jobs import announce_live
from common.services.projects.variables import mask_of_run
from common.services.runs.log_entries import LONGEST, cut, entry_body
from common.services.runs.runners import RunPrincipal
from common.states import Role
from common.transaction import Snapshot, Transaction, snapshot, transactional

KEPT_DAYS = 30
MOST_BYTES = 8 * 2**20
"""Largest transcript of one run. Further entries are left out, which the last entry says."""
ENTRY_BYTES = 100
"""Bytes that an entry counts in addition to its text, so that empty lines count, too."""


@dataclass(frozen=True)
class Line:
    """A line for the transcript. at: its time, as the agent reports it; None: now."""

    level: str
    message: str
    kind: str = "log"
    at: datetime | None = None


@dataclass(frozen=True)
class Transcript:
    """Part of a transcript. next: pass it as `after` to read the following entries. is_live: more may come."""

    entries: Sequence[LogEntry]
    next: int
    is_live: bool


def append_lines(run: RunPrincipal, lines: Sequence[Line]) -> int:
    """Store the lines, masked, and show them to followers. Conflict if the run is over.

    Returns how many were stored: fewer than were given once the transcript is full.
    """
    entries = _store(run, lines)
    if entries:
        announce_live(
            run.project_id, run.task_id, "task:log", {"taskId": run.task_id, "runId": run.run_id, "entries": entries}
        )
    return len(entries)


@transactional
def _store(tx: Transaction, run: RunPrincipal, lines: Sequence[Line]) -> list[dict[str, object]]:
    row = tx.lock(Run, run.run_id)
    if row.live_task_id is None:
        raise Conflict(f"run {run.run_id} is over: stop working on it")
    last = tx.find(select(LogEntry).where(LogEntry.run_id == row.id).order_by(LogEntry.id.desc()).limit(1))
    if row.log_bytes > MOST_BYTES:
        return []
    # Bound the time for masking: cut the lines first, but well above LONGEST, the final length.
    plain = [without_controls(line.message[: 4 * LONGEST]) for line in lines]
    masked = mask_of_run(tx, row).lines(plain, after=last.message if last is not None else None)
    kept = _within_cap(row, [replace(line, message=cut(text)) for line, text in zip(lines, masked, strict=True)])
    at, now = last.at if last is not None else row.created_at, tx.now()
    rows = []
    for line in kept:
        at = _plausible(line.at, after=at, now=now)
        rows.append(
            LogEntry(
                agent_id=row.agent_id, run_id=row.id, at=at, level=line.level, kind=line.kind, message=line.message
            )
        )
    tx.session.add_all(rows)
    tx.session.flush()
    return [entry_body(row) for row in rows]


def _within_cap(run: Run, lines: Sequence[Line]) -> list[Line]:
    """The lines that fit into the transcript. The first line that does not fit is replaced by a note."""
    kept = []
    for line in lines:
        if run.log_bytes > MOST_BYTES:
            break
        run.log_bytes += ENTRY_BYTES + len(line.message.encode("utf-8", "replace"))
        if run.log_bytes > MOST_BYTES:
            line = Line(
                "warn", f"The transcript is full at {MOST_BYTES // 2**20} MiB: the rest of this run is left out."
            )
        kept.append(line)
    return kept


def _plausible(reported: datetime | None, *, after: datetime, now: datetime) -> datetime:
    """The time that the agent reported if it lies between the previous entry and now; else now."""
    return reported if reported is not None and after <= reported <= now else now


def report_progress(run: RunPrincipal, body: Mapping[str, object]) -> None:
    """Send the agent's progress to followers; nothing is stored. Conflict if the run is over."""
    with snapshot() as read:
        mask = mask_of_run(read, _live(read, run.run_id))
    shown = {**body, "message": cut(mask(str(body["message"])))}
    announce_live(run.project_id, run.task_id, "task:progress", {"taskId": run.task_id, "runId": run.run_id, **shown})


def _live(read: Snapshot, run_id: str) -> Run:
    run = read.get(Run, run_id)
    if run is None or run.live_task_id is None:
        raise Conflict(f"run {run_id} is over: stop working on it")
    return run


def read_run(run_id: str, *, by: Caller) -> Run:
    with snapshot() as read:
        run = read.get(Run, run_id)
        if run is None:
            raise NotFound(f"run {run_id}")
        by.require_in(read, run.project_id, Role.VIEWER)
        return run


def read_transcript(run_id: str, *, after: int, limit: int, by: Caller) -> Transcript:
    """Entries with a seq greater than `after`, oldest first."""
    run = read_run(run_id, by=by)
    with snapshot() as read:
        entries = read.all(
            select(LogEntry).where(LogEntry.run_id == run.id, LogEntry.id > after).order_by(LogEntry.id).limit(limit)
        )
    return Transcript(entries, entries[-1].id if entries else after, run.live_task_id is not None)


@transactional
def purge_transcripts(tx: Transaction) -> None:
    """Delete entries older than KEPT_DAYS."""
    old = delete(LogEntry).where(LogEntry.at < tx.now() - timedelta(days=KEPT_DAYS))
    tx.session.execute(old.execution_options(synchronize_session=False))
