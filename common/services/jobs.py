"""The life of a job row: claimed with a fence and a lease, renewed, backed off, parked, swept, retried.

Finishing a job belongs to the transaction that records its result (`tx.finish`, `tx.again`), not here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update

from common.announcer import Announcement, announcer
from common.errors import Conflict, LeaseLost, NotFound
from common.feed import Entry, message
from common.jobs import CATALOGUE, LEASE_SECONDS, UNAVAILABLE_HOURS
from common.machine.waiting import growing_delay
from common.models.journal import Job, Mark
from common.services.access import Caller, visible_projects
from common.services.paging import Page, PageQuery, page_of
from common.services.projects.variables import mask_of_project
from common.states import LIVE_JOB, JobState
from common.transaction import Lease, Transaction, snapshot, transactional

Parked = Callable[[str, str], None]
"""What is to become of the subject of a parked job: (subject id, reason). Runs in the parking transaction."""

MOST_SWEPT = 200
ACCESS = "access"
"""What a job waits for whose account is denied access to the world (`waits_for`)."""
ACCESS_SECONDS = 120
"""How long a denial may pass for an API server that is starting."""


def claim_job(job_id: str, parked: Parked | None = None) -> Lease | None:
    """Take the job for LEASE_SECONDS; None if it is not due, held by another, over, or was parked just now.

    Attempts are counted here, before the work: a job that kills its process is counted too.
    """
    # Most rings come too late: a look takes no lock, and on SQLite a claim takes the only one there is.
    with snapshot() as read:
        if read.find(select(Job).where(Job.id == job_id, *_is_due(read.now()))) is None:
            return None
    return _claim(job_id, parked)


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Job.state.in_(LIVE_JOB),
        Job.next_at <= now,
        or_(Job.lease_until.is_(None), Job.lease_until < now),
    )


@transactional
def _claim(tx: Transaction, job_id: str, parked: Parked | None) -> Lease | None:
    now = tx.now()
    due = (
        update(Job)
        .where(Job.id == job_id, *_is_due(now))
        .values(
            fence=Job.fence + 1,
            attempts=Job.attempts + 1,
            state=JobState.RUNNING,
            lease_until=now + timedelta(seconds=LEASE_SECONDS),
            started_at=func.coalesce(Job.started_at, now),
        )
        .execution_options(synchronize_session=False)
    )
    claimed: Any = tx.session.execute(due)
    if claimed.rowcount == 0:
        return None
    job = tx.get(Job, job_id)
    if job.attempts > CATALOGUE[job.kind].attempts:
        reason = job.error or "its worker died each time"
        _park(tx, job, f"given up after {job.attempts - 1} attempts: {reason}", parked)
        return None
    return Lease(job.id, job.kind, job.subject_id, job.project_id, job.fence, job.generation, job.attempts)


@transactional
def renew_lease(tx: Transaction, lease: Lease) -> bool:
    """Hold the job for another LEASE_SECONDS; False if it is somebody else's now."""
    mine = (Job.id == lease.job_id, Job.fence == lease.fence, Job.state == JobState.RUNNING)
    renewed: Any = tx.session.execute(
        update(Job)
        .where(*mine)
        .values(lease_until=tx.now() + timedelta(seconds=LEASE_SECONDS))
        .execution_options(synchronize_session=False)
    )
    return bool(renewed.rowcount)


@transactional
def finish_if_held(tx: Transaction, lease: Lease) -> None:
    """The job had nothing (more) to do. Does nothing if its own transaction has finished it already."""
    job = tx.session.get(Job, lease.job_id)
    if job is not None and job.fence == lease.fence and job.state == JobState.RUNNING:
        tx.finish(lease)


@transactional
def fail_attempt(
    tx: Transaction,
    lease: Lease,
    reason: str,
    parked: Parked | None = None,
    most_attempts: int | None = None,
    after_seconds: float = 0,
) -> None:
    """The attempt failed: back off, for after_seconds at least, or park the job when its attempts are used up.

    most_attempts: fewer than the catalogue allows; None leaves it at that.
    """
    reason = mask_of_project(tx, lease.project_id)(reason)
    if lease.attempts >= min(CATALOGUE[lease.kind].attempts, most_attempts or CATALOGUE[lease.kind].attempts):
        give_up(lease, reason, parked)
        return
    job = _held(tx, lease)
    job.state, job.lease_until, job.error = JobState.QUEUED, None, reason[:500]
    job.next_at = tx.now() + timedelta(seconds=max(after_seconds, _back_off(job.attempts)))


@transactional
def give_up(tx: Transaction, lease: Lease, reason: str, parked: Parked | None = None) -> None:
    """Another attempt would end the same: park the job at once."""
    reason = mask_of_project(tx, lease.project_id)(reason)
    # The subject first: its rows come before the job's in the order of locks.
    if parked is not None:
        parked(lease.subject_id, reason)
    _park(tx, _held(tx, lease), reason, None)


@transactional
def put_off(tx: Transaction, lease: Lease, reason: str, parked: Parked | None, after_seconds: float | None) -> None:
    """The world did not answer: look again later. It does not count as an attempt, but ends after a day."""
    now = tx.now()
    since = _waiting_since(tx, lease, for_=None)
    if now - since > timedelta(hours=UNAVAILABLE_HOURS):
        give_up(lease, f"unavailable for {UNAVAILABLE_HOURS} hours: {reason}", parked)
        return
    _wait(tx, lease, reason, since=since, for_=None, after_seconds=after_seconds)


@transactional
def wait_for_access(tx: Transaction, lease: Lease, reason: str, parked: Parked | None, is_granted: bool) -> None:
    """The platform's account is denied access: look again, soon at first, for as long as that lasts.

    Never parked for it, however long: whoever gives the access back need not know which jobs waited. is_granted: the
    account has the right, and is refused all the same; that is final after ACCESS_SECONDS.
    """
    now = tx.now()
    since = _waiting_since(tx, lease, for_=ACCESS)
    is_lasting = now - since >= timedelta(seconds=ACCESS_SECONDS)
    if is_lasting and is_granted:
        give_up(lease, reason, parked)
        return
    _wait(tx, lease, reason, since=since, for_=ACCESS, after_seconds=None if is_lasting else random.uniform(1, 5))  # noqa: S311


def _waiting_since(tx: Transaction, lease: Lease, *, for_: str | None) -> datetime:
    """Since when the job has waited for this alone."""
    job = tx.get(Job, lease.job_id)
    return (job.unavailable_since if job.waits_for == for_ else None) or tx.now()


def _wait(
    tx: Transaction, lease: Lease, reason: str, *, since: datetime, for_: str | None, after_seconds: float | None
) -> None:
    job, reason = _held(tx, lease), mask_of_project(tx, lease.project_id)(reason)
    job.unavailable_since, job.waits_for, job.waits = since, for_, job.waits + 1
    job.state, job.lease_until, job.error = JobState.QUEUED, None, reason[:500]
    job.attempts = max(0, job.attempts - 1)
    wait = _back_off(job.waits) if after_seconds is None else min(after_seconds, 300)
    job.next_at = tx.now() + timedelta(seconds=wait)
    tx.ring_later(job.kind, job.id, wait)


def _back_off(times: int) -> float:
    """Full jitter, up to 60 s."""
    return random.uniform(0.2, growing_delay(times, first_seconds=2.0, longest_seconds=60.0))  # noqa: S311 (jitter, not a secret)


def _held(tx: Transaction, lease: Lease) -> Job:
    job = tx.lock(Job, lease.job_id)
    if job.fence != lease.fence or job.state != JobState.RUNNING:
        raise LeaseLost(lease.job_id)
    return job


def _park(tx: Transaction, job: Job, reason: str, parked: Parked | None) -> None:
    job.state, job.live_key, job.lease_until, job.waits_for = JobState.FAILED, None, None, None
    job.error, job.finished_at = reason[:2000], tx.now()
    tx.session.flush()
    if parked is not None:
        parked(job.subject_id, reason)


@transactional
def sweep_jobs(tx: Transaction) -> int:
    """Ring for every job that is due and not held: lost messages, dead workers, waits that are over."""
    now = tx.now()
    due = tx.session.execute(
        select(Job.id, Job.kind).where(*_is_due(now)).order_by(Job.next_at, Job.id).limit(MOST_SWEPT)
    )
    found = [tuple(row) for row in due]
    for job_id, kind in found:
        tx.ring_later(kind, job_id)
    set_mark(tx, "sweep", {"rung": len(found)})
    return len(found)


def set_mark(tx: Transaction, name: str, value: dict[str, object]) -> None:
    mark = tx.session.get(Mark, name)
    if mark is None:
        tx.session.add(Mark(name=name, at=tx.now(), value=value))
    else:
        mark.at, mark.value = tx.now(), value


@transactional
def save_progress(tx: Transaction, lease: Lease, done: int | None, total: int | None, said: str) -> None:
    """How far the job is; clients hear of it at once. Call it at most twice a second."""
    said = mask_of_project(tx, lease.project_id)(said)
    mine = (Job.id == lease.job_id, Job.fence == lease.fence, Job.state == JobState.RUNNING)
    tx.session.execute(
        update(Job)
        .where(*mine)
        .values(progress_done=done, progress_total=total, progress_message=said[:500])
        .execution_options(synchronize_session=False)
    )
    if lease.project_id:
        body = {"jobId": lease.job_id, "kind": lease.kind, "subjectId": lease.subject_id, "state": JobState.RUNNING}
        tx.tell(lease.project_id, "job:progress", {**body, "done": done, "total": total, "message": said[:500]})


def announce_live(project_id: str, task_id: str, event: str, body: dict[str, object]) -> None:
    """An ephemeral message outside of any transaction."""
    text = message(event, body, projectId=project_id)
    announcer().announce(Announcement(entries=[Entry("ephemeral", project_id, text, task_id=task_id)]))


def list_jobs(by: Caller, page: PageQuery, *, state: str | None, kind: str | None, project_id: str | None) -> Page[Job]:
    """Newest first; those of no project are shown to administrators only."""
    query = select(Job)
    if not by.is_admin:
        query = query.where(Job.project_id.in_(visible_projects(by)))
    for column, value in ((Job.state, state), (Job.kind, kind), (Job.project_id, project_id)):
        if value is not None:
            query = query.where(column == value)
    with snapshot() as read:
        return page_of(read, query, Job.created_at, Job.id, page)


def read_job(by: Caller, job_id: str) -> Job:
    with snapshot() as read:
        job = read.get(Job, job_id)
        if job is None or not by.may_see(read, job.project_id):
            raise NotFound(f"job {job_id}")
        return job


@transactional
def retry_job(tx: Transaction, job_id: str, *, by: Caller) -> Job:
    """A parked job runs again from its start. Conflict for any other state, or if there is a newer live one."""
    job = tx.lock(Job, job_id)
    by.require_maintainer(tx, job.project_id)
    if job.state != JobState.FAILED:
        raise Conflict(f"job {job.id} is {job.state}; only a failed one can be retried")
    key = f"{job.kind}:{job.subject_id}"
    if tx.find(select(Job).where(Job.live_key == key)) is not None:
        raise Conflict(f"job {job.id} has been replaced by a newer one that is queued or running")
    job.state, job.live_key, job.next_at, job.attempts, job.waits = JobState.QUEUED, key, tx.now(), 0, 0
    job.error = job.finished_at = job.unavailable_since = job.waits_for = None
    tx.ring_later(job.kind, job.id)
    return job
