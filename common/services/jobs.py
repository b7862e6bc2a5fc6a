"""Jobs as workers and people use them: how an attempt ended, what becomes of the subject, lists, and retrying.

`common.queue` writes the rows. A job that succeeds is finished by the transaction that records its result.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from common.announcer import Announcement, announcer
from common.errors import Conflict, NotFound
from common.jobs import CATALOGUE, UNAVAILABLE_HOURS, Lease
from common.models.journal import Job, Mark
from common.queue import due_jobs, live_job
from common.services.access import Caller, visible_projects
from common.services.paging import Page, PageQuery, page_of
from common.services.projects.variables import mask_of_project
from common.states import JobState
from common.transaction import Transaction, snapshot, transactional

Parked = Callable[[str, str], None]
"""What is to become of the subject of a parked job: (subject id, reason). Runs in the parking transaction."""

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
        if read.find(due_jobs(read.now()).where(Job.id == job_id)) is None:
            return None
    return _claim(job_id, parked)


@transactional
def _claim(tx: Transaction, job_id: str, parked: Parked | None) -> Lease | None:
    lease = tx.queue.claim(job_id)
    if lease is None or lease.attempts <= CATALOGUE[lease.kind].attempts:
        return lease
    reason = tx.get(Job, job_id).error or "its worker died each time"
    reason = f"given up after {lease.attempts - 1} attempts: {reason}"
    tx.queue.park(lease, reason)
    if parked is not None:
        parked(lease.subject_id, reason)
    return None


@transactional
def renew_lease(tx: Transaction, lease: Lease) -> bool:
    """Hold the job for another LEASE_SECONDS; False if it is somebody else's now."""
    return tx.queue.renew(lease)


@transactional
def finish_if_held(tx: Transaction, lease: Lease) -> None:
    """The job had nothing (more) to do. Does nothing if its own transaction has finished it already."""
    if tx.queue.is_held(lease):
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
    tx.queue.fail(lease, reason, after_seconds=after_seconds)


@transactional
def give_up(tx: Transaction, lease: Lease, reason: str, parked: Parked | None = None) -> None:
    """Another attempt would end the same: park the job at once."""
    reason = mask_of_project(tx, lease.project_id)(reason)
    # The subject first: its rows come before the job's in the order of locks.
    if parked is not None:
        parked(lease.subject_id, reason)
    tx.queue.park(lease, reason)


@transactional
def put_off(tx: Transaction, lease: Lease, reason: str, parked: Parked | None, after_seconds: float | None) -> None:
    """The world did not answer: look again later. It does not count as an attempt, but ends after a day."""
    since = tx.queue.waiting_since(lease, None)
    if tx.now() - since > timedelta(hours=UNAVAILABLE_HOURS):
        give_up(lease, f"unavailable for {UNAVAILABLE_HOURS} hours: {reason}", parked)
        return
    masked = mask_of_project(tx, lease.project_id)(reason)
    tx.queue.wait(lease, masked, since=since, for_=None, after_seconds=after_seconds)


@transactional
def wait_for_access(tx: Transaction, lease: Lease, reason: str, parked: Parked | None, is_granted: bool) -> None:
    """The platform's account is denied access: look again, soon at first, for as long as that lasts.

    Never parked for it, however long: whoever gives the access back need not know which jobs waited. is_granted: the
    account has the right, and is refused all the same; that is final after ACCESS_SECONDS.
    """
    since = tx.queue.waiting_since(lease, ACCESS)
    is_lasting = tx.now() - since >= timedelta(seconds=ACCESS_SECONDS)
    if is_lasting and is_granted:
        give_up(lease, reason, parked)
        return
    masked = mask_of_project(tx, lease.project_id)(reason)
    soon = None if is_lasting else random.uniform(1, 5)  # noqa: S311 (jitter, not a secret)
    tx.queue.wait(lease, masked, since=since, for_=ACCESS, after_seconds=soon)


@transactional
def sweep_jobs(tx: Transaction) -> int:
    """Ring for every job that is due and not held: lost messages, dead workers, waits that are over."""
    rung = tx.queue.ring_due()
    set_mark(tx, "sweep", {"rung": rung})
    return rung


def set_mark(tx: Transaction, name: str, value: dict[str, object]) -> None:
    mark = tx.session.get(Mark, name)
    if mark is None:
        tx.session.add(Mark(name=name, at=tx.now(), value=value))
    else:
        mark.at, mark.value = tx.now(), value


@transactional
def save_progress(tx: Transaction, lease: Lease, done: int | None, total: int | None, said: str) -> None:
    """How far the job is; clients hear of it at once. Call it at most twice a second."""
    tx.queue.show_progress(lease, done, total, mask_of_project(tx, lease.project_id)(said))


def announce_live(project_id: str, task_id: str, event: str, body: dict[str, object]) -> None:
    """An ephemeral message outside of any transaction."""
    announcement = Announcement()
    announcement.tell(project_id, event, body, task_id=task_id)
    announcer().announce(announcement)


def list_jobs(by: Caller, page: PageQuery, *, state: str | None, kind: str | None, project_id: str | None) -> Page[Job]:
    """Newest first; those of no project are shown to administrators only."""
    query = select(Job)
    if not by.is_admin:
        query = query.where(Job.project_id.in_(visible_projects(by)))
    for column, value in ((Job.state_, state), (Job.kind, kind), (Job.project_id, project_id)):
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
    if tx.find(live_job(job.kind, job.subject_id)) is not None:
        raise Conflict(f"job {job.id} has been replaced by a newer one that is queued or running")
    tx.queue.retry(job)
    return job
