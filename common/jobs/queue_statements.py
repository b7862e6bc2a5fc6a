"""The statements of the job queue that are sent often.

Compiled once, and run without the ORM by `common.jobs.queue`.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import ClauseElement, ColumnElement, Table, bindparam, case, func, or_, select, update
from sqlalchemy.dialects import mysql, sqlite

from common.database import engines
from common.database.compiled_statements import Statement
from common.jobs.catalogue import LEASE_SECONDS
from common.models.journal import Job
from common.values.states import JOB_EDGES, By, JobState, sources

NO_WAITS: dict[str, object] = {"waits": 0, "unavailable_since": None, "waits_for": None}
"""The columns of a job row that count waits, with their initial values."""
NO_FAILURES: dict[str, object] = {"attempts": 0, **NO_WAITS}
"""The columns of a job row that count failures, with their initial values."""


def is_due(now: datetime | ColumnElement[datetime]) -> tuple[ColumnElement[bool], ...]:
    """The conditions for a job that may be claimed: it is due, and no worker holds it."""
    return (
        _is_before(JobState.RUNNING),
        Job.next_at <= now,
        or_(Job.lease_until.is_(None), Job.lease_until < now),
    )


def _is_before(new: JobState) -> ColumnElement[bool]:
    """Whether the platform may move the job to this state."""
    return or_(*(Job.state_ == old for old in sorted(sources(JOB_EDGES, new, By.PLATFORM))))


_NEW = (
    "id", "kind", "subject_id", "project_id", "live_key", "state", "generation", "next_at", "attempts", "fence",
    "waits", "created_at", "trace_parent",
)  # fmt: skip
"""The columns of a new job that are not NULL, or may be set."""


_ONCE_MORE: dict[str, ColumnElement[int]] = {
    "generation": Job.generation + 1,
    "attempts": case((Job.state_ == JobState.RUNNING, 0), else_=Job.attempts),
}
"""What enqueueing changes of a live job, beside next_at. If its worker dies in the last attempt, the job must not be
parked: it has not begun with what was enqueued meanwhile, which has all attempts.
"""


def _enqueue(**times: ColumnElement[datetime]) -> ClauseElement:
    """Inserts a job, or has the live one run once more; on SQLite it returns the id. times: columns that are no
    parameters.
    """
    table = cast("Table", Job.__table__)
    values: dict[str, object] = {**{name: bindparam(name) for name in _NEW}, **times}
    if engines.is_sqlite():
        new = sqlite.insert(table).values(values)
        once_more = {**_ONCE_MORE, "next_at": func.min(Job.next_at, new.excluded.next_at)}
        return new.on_conflict_do_update(index_elements=["live_key"], set_=once_more).returning(Job.id)
    new_mysql = mysql.insert(table).values(values)
    next_at = func.least(Job.next_at, new_mysql.inserted.next_at)
    return new_mysql.on_duplicate_key_update(**_ONCE_MORE, next_at=next_at)


def _claim() -> ClauseElement:
    """Claims a job that is due. On SQLite it returns the lease; on MariaDB and MySQL the reply's id is the fence."""
    now = engines.clock("now")
    fence = Job.fence + 1 if engines.is_sqlite() else func.last_insert_id(Job.fence + 1)
    claim = (
        update(Job)
        .where(Job.id == bindparam("id"), *is_due(now))
        .values(
            state_=JobState.RUNNING, fence=fence, attempts=Job.attempts + 1,
            lease_until=engines.clock("until", ahead_seconds=LEASE_SECONDS),
            started_at=func.coalesce(Job.started_at, now),
        )
    )  # fmt: skip
    return claim.returning(*_LEASE) if engines.is_sqlite() else claim


def _finish() -> ClauseElement:
    """Ends a job that is still held and was not enqueued again. It keeps its attempts, and shows no step under way."""
    is_mine = (Job.id == bindparam("id"), Job.fence == bindparam("lease_fence"), Job.state_ == JobState.RUNNING)
    whole = func.coalesce(Job.progress_total, Job.progress_done)
    progress: dict[str, object] = {"progress_done": whole, "progress_message": None}
    done: dict[str, object] = {**NO_WAITS, **progress, "live_key": None, "lease_until": None, "error": None}
    return (
        update(Job)
        .where(*is_mine, Job.generation == bindparam("lease_generation"), _is_before(JobState.DONE))
        .values(state_=JobState.DONE, finished_at=engines.clock("now"), **done)
    )


_LEASE = (
    Job.id, Job.kind, Job.subject_id, Job.project_id, Job.fence, Job.generation, Job.attempts, Job.trace_parent,
)  # fmt: skip
CLAIM = Statement(_claim)
CLAIMED = Statement(lambda: select(*_LEASE).where(Job.id == bindparam("id")))
FINISH = Statement(_finish)
DUE = Statement(lambda: select(Job.id).where(Job.id == bindparam("id"), *is_due(engines.clock("now"))))
"""The id of the job `id`, if it may be claimed. Asked on SQLite alone, where now is `sqlite_now`."""
HELD = Statement(
    lambda: select(Job.id).where(
        Job.id == bindparam("id"), Job.fence == bindparam("fence"), Job.state_ == JobState.RUNNING
    )
)
"""The id of the job `id` while the lease with this fence is valid: nobody has claimed it since, and it is not over."""

ENQUEUE = Statement(_enqueue)
ENQUEUE_NOW = Statement(lambda: _enqueue(next_at=engines.clock(""), created_at=engines.clock("")))
"""On MariaDB and MySQL: due at once by the server's own clock, which need not be asked for first."""
RUN_AGAIN = Statement(
    lambda: (
        update(Job)
        .where(Job.live_key == bindparam("live_key"))
        .values(**_ONCE_MORE, next_at=func.min(Job.next_at, bindparam("due", type_=Job.next_at.type)))
        .returning(Job.id)
    )
)
"""On SQLite: has the live job run once more, and returns its id; nothing if there is none."""
LIVE = Statement(lambda: select(Job.id).where(Job.live_key == bindparam("live_key")))
