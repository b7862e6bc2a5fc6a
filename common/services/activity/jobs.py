"""Jobs for workers and people: claiming, the results of attempts, parking, lists, and retrying.

`common.jobs.queue` writes the rows. The transaction that records a job's result also finishes the job.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, insert, select, update

from common.database.compiled_statements import Statement
from common.database.engines import is_sqlite, sqlite_now
from common.errors import AnotherKey, Conflict, NotFound
from common.events.catalogue import ADMINISTRATION, JobRetried
from common.jobs.announcer import Announcement, announcer, full_queues
from common.jobs.catalogue import CATALOGUE, DEPLOY, MERGE_GROUP, UNAVAILABLE_HOURS, Lease, Queue
from common.jobs.queue import MOST_SWEPT, live_job
from common.jobs.queue_statements import DUE, HELD
from common.models.delivery import Deployment, TaskGroup
from common.models.journal import Job, Mark
from common.services.project_settings.variables import mask_of_project
from common.services.requests.access import Caller
from common.services.requests.listing import page_seen
from common.services.requests.paging import Order, Page, PageQuery
from common.services.upkeep.clock_changes import follow_clock
from common.transaction import Transaction, read_rows, snapshot, transactional
from common.values.states import DeploymentState, Environment, GroupState, JobState

Parked = Callable[[str, str], None]
"""Called with (subject id, reason) when a job is parked, in the same transaction, to update the job's subject."""

NEWEST_FIRST = Order(Job.created_at, Job.id, Job.project_id)
WAITS_FOR_ACCESS = "access"
"""Value of `waits_for` of a job that waits because a provider denies our account access."""
WAITS_FOR_KEY = "key"
"""The same, of one that waits because what it needs was sealed with another secret key."""
ACCESS_SECONDS = 120
"""A denial that lasts longer does not come from an API server that is starting."""
DOWNTIME = timedelta(minutes=1)
"""The platform was off if there was no sweep for longer."""


def claim_job(job_id: str, parked: Parked | None = None, *, before_commit: bool = False) -> Lease | None:
    """Claim the job for LEASE_SECONDS. Returns None if it is not due, held by another worker, over, or parked now.

    before_commit: the transaction that enqueued it may be open still; this waits until it is over.

    Attempts are counted here, before the work, so that a job which kills its process is counted, too. A job without
    attempts left is parked.
    """
    # Many messages arrive after the job was claimed. Reading first takes no lock; a claim takes SQLite's only one. On
    # MariaDB and MySQL it takes that of the row, so reading would only delay the claim. What is not committed can't be
    # read, but whoever enqueued it holds the same locks until then.
    if is_sqlite() and not before_commit and not read_rows(DUE, id=job_id, now=sqlite_now()):
        return None
    try:
        return _claim(job_id, parked)
    except AnotherKey as error:
        _hold_for_key(job_id, str(error))
        return None


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
def _hold_for_key(tx: Transaction, job_id: str, reason: str) -> None:
    """A job without attempts left is parked later, as what is to be told of it can't be masked now."""
    lease = tx.queue.claim(job_id)
    if lease is not None:
        wait_for_key(lease, reason)


@transactional
def renew_lease(tx: Transaction, lease: Lease) -> bool:
    """Extend the claim to LEASE_SECONDS from now. Returns False if another worker has the job or it is over."""
    return tx.queue.renew(lease)


def finish_if_held(lease: Lease) -> None:
    """Finish the job if its worker still holds it. Does nothing if another transaction has already finished it."""
    # Nearly every job has ended with its last step. Reading first takes no lock.
    if holds(lease):
        _finish(lease)


def holds(lease: Lease) -> bool:
    """Whether the lease is valid now: no other worker has claimed the job, and it is not over."""
    return bool(read_rows(HELD, id=lease.job_id, fence=lease.fence))


@transactional
def _finish(tx: Transaction, lease: Lease) -> None:
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
    """Record a failed attempt: run the job again after a back-off, or park it if its attempts are used up.

    after_seconds: the shortest back-off. most_attempts: a lower limit than the catalogue's; None: the catalogue's.
    """
    reason = mask_of_project(tx, lease.project_id)(reason)
    if lease.attempts >= min(CATALOGUE[lease.kind].attempts, most_attempts or CATALOGUE[lease.kind].attempts):
        give_up(lease, reason, parked)
        return
    tx.queue.fail(lease, reason, after_seconds=after_seconds)


@transactional
def give_up(tx: Transaction, lease: Lease, reason: str, parked: Parked | None = None) -> None:
    """Park the job at once, because another attempt would fail in the same way.

    If it was enqueued again since its claim, it is run again instead, with all attempts: see JobQueue.park.
    """
    reason = mask_of_project(tx, lease.project_id)(reason)
    # Update the subject first: its rows come before the job's in the order of locks.
    if parked is not None and not tx.queue.is_enqueued_again(lease):
        parked(lease.subject_id, reason)
    tx.queue.park(lease, reason)


@transactional
def put_off(tx: Transaction, lease: Lease, reason: str, parked: Parked | None, after_seconds: float | None) -> None:
    """A provider did not answer: run the job again later, without counting an attempt. Park it after a day, in which
    the time is not counted that the platform was off.

    after_seconds: None: after a back-off.
    """
    since, seconds = _waited(tx, lease, None)
    if seconds > UNAVAILABLE_HOURS * 3600:
        give_up(lease, f"unavailable for {UNAVAILABLE_HOURS} hours: {reason}", parked)
        return
    masked = mask_of_project(tx, lease.project_id)(reason)
    tx.queue.wait(lease, masked, since=since, for_=None, after_seconds=after_seconds)


def _waited(tx: Transaction, lease: Lease, for_: str | None) -> tuple[datetime, float]:
    """Since when the job has waited for this, and how long; not at all, until a sweep has left out that the platform
    was off.
    """
    # The sweep changes jobs after its mark was locked, so the job is read after the mark.
    last = tx.session.get(Mark, "sweep")
    tx.queue.hold(lease)
    since = tx.queue.waiting_since(lease, for_)
    is_off = last is not None and tx.now() - last.at > DOWNTIME
    return since, 0.0 if is_off else (tx.now() - since).total_seconds()


@transactional
def wait_for_access(tx: Transaction, lease: Lease, reason: str, parked: Parked | None, is_granted: bool) -> None:
    """A provider denies our account access: run the job again until access is back, after short pauses at first.

    The job is not parked, however long this lasts, so that it continues by itself once access is granted. is_granted:
    the account has the right and is refused all the same; then the job is parked after ACCESS_SECONDS.
    """
    since, seconds = _waited(tx, lease, WAITS_FOR_ACCESS)
    is_lasting = seconds >= ACCESS_SECONDS
    if is_lasting and is_granted:
        give_up(lease, reason, parked)
        return
    masked = mask_of_project(tx, lease.project_id)(reason)
    soon = None if is_lasting else random.uniform(1, 5)  # noqa: S311 (jitter, not a secret)
    tx.queue.wait(lease, masked, since=since, for_=WAITS_FOR_ACCESS, after_seconds=soon)


@transactional
def wait_for_key(tx: Transaction, lease: Lease, reason: str) -> None:
    """What the job needs was sealed with another secret key: run it again after a back-off, until it can be opened.

    The job is not parked, however long this lasts. reason: the message of AnotherKey, which needs no mask.
    """
    tx.queue.wait(
        lease, reason, since=tx.queue.waiting_since(lease, WAITS_FOR_KEY), for_=WAITS_FOR_KEY, after_seconds=None
    )


def sweep_jobs() -> int:
    """Send messages for due jobs (see JobQueue.ring_due) and record the time of the sweep. Returns how many.

    If the clock was set back since the last sweep, what waits for a later time is brought back first. If there was none
    for longer than OFF, what waits for a provider has not waited meanwhile.

    A queue whose messages nobody takes gets no more of them: with each sweep they would become more, until Redis is
    full and takes no message of any queue.
    """
    return _sweep_jobs(full_queues(MOST_SWEPT))


@transactional
def _sweep_jobs(tx: Transaction, full: Collection[Queue]) -> int:
    last = tx.session.get(Mark, "sweep", with_for_update=True)
    follow_clock(tx, last)
    if last is not None and (gap := tx.now() - last.at) > DOWNTIME:
        tx.queue.leave_out(gap)
    woken = tx.queue.wake_workers_for_due_jobs(except_for=full)
    set_mark(tx, "sweep", {"rung": woken})
    return woken


def set_mark(tx: Transaction, name: str, value: dict[str, object]) -> None:
    given = {"of": name, "at": tx.now(), "value": value}
    changed, _last_id = _CHANGE_MARK.run(tx.connection, **given)
    if not changed:
        _ADD_MARK.run(tx.connection, **given)


def _as_given() -> dict[str, object]:
    return {name: bindparam(name, type_=_MARKS.c[name].type) for name in ("at", "value")}


_MARKS = cast("Table", Mark.__table__)
_CHANGE_MARK = Statement(lambda: update(_MARKS).where(_MARKS.c.name == bindparam("of")).values(_as_given()))
_ADD_MARK = Statement(lambda: insert(_MARKS).values({"name": bindparam("of"), **_as_given()}))
"""By statements: a web process, which does this every few seconds, loads nothing of the ORM for it."""


@transactional
def save_progress(tx: Transaction, lease: Lease, done: int | None, total: int | None, message: str) -> None:
    """Store the job's progress and send it to clients at once. Call it at most twice a second.

    Progress that can't be masked is left out: the deletion of a project goes on without its variables.
    """
    try:
        mask = mask_of_project(tx, lease.project_id)
    except AnotherKey:
        return
    tx.queue.show_progress(lease, done, total, mask(message))


def announce_live(project_id: str, task_id: str, event: str, body: dict[str, object]) -> None:
    """Send an ephemeral message outside of any transaction, to followers of the task, or of the project if task_id is
    empty.
    """
    announcement = Announcement()
    announcement.notify(project_id, event, body, task_id=task_id)
    announcer().announce(announcement)


def list_jobs(by: Caller, page: PageQuery, *, state: str | None, kind: str | None, project_id: str | None) -> Page[Job]:
    """Jobs, newest first. Jobs that belong to no project are shown to administrators only."""
    query = select(Job)
    for column, value in ((Job.state_, state), (Job.kind, kind)):
        if value is not None:
            query = query.where(column == value)
    with snapshot() as read:
        return page_seen(read, query, NEWEST_FIRST, page, by=by, project_id=project_id, all_have_projects=False)


def read_job(by: Caller, job_id: str) -> Job:
    with snapshot() as read:
        job = read.get(Job, job_id)
        if job is None or not by.may_see(read, job.project_id):
            raise NotFound(f"job {job_id}")
        return job


@transactional
def retry_job(tx: Transaction, job_id: str, *, by: Caller) -> Job:
    """Run a parked job again. Conflict in any other state, or if there is a newer live job for the same subject.

    Also if the job has nothing left to do, as its group or deployment ended with it: the message says what to do.
    """
    job = tx.lock(Job, job_id)
    by.require_maintainer(tx, job.project_id)
    if job.state != JobState.FAILED:
        raise Conflict(f"job {job.id} is {job.state}; only a failed one can be retried")
    if tx.find(live_job(job.kind, job.subject_id)) is not None:
        raise Conflict(f"job {job.id} has been replaced by a newer one that is queued or running")
    instead = _what_to_do_instead(tx, job)
    if instead is not None:
        raise Conflict(f"job {job.id} has nothing left to do: {instead}")
    tx.queue.retry(job)
    tx.record(
        JobRetried(feed=job.project_id or ADMINISTRATION, job_id=job.id, kind=job.kind, subject_id=job.subject_id)
    )
    return job


def _what_to_do_instead(tx: Transaction, job: Job) -> str | None:
    """What to do instead of running the job again, which would do nothing. None if it has something to do."""
    if job.kind == MERGE_GROUP.name:
        group = tx.session.get(TaskGroup, job.subject_id)
        if group is not None and group.state is GroupState.FAILED:
            return f"task group {group.label} has failed; retry the group"
        if group is not None and group.state is GroupState.MERGED and not group.wants_staging:
            return f"task group {group.label} is merged; deploy the group to staging"
    elif job.kind == DEPLOY.name:
        deployment = tx.session.get(Deployment, job.subject_id)
        if deployment is not None and deployment.state is DeploymentState.FAILED:
            said = f"the deployment of {deployment.commit_sha[:12]} to {deployment.environment} has failed"
            return f"{said}; {_another_deployment(deployment)}"
    return None


def _another_deployment(failed: Deployment) -> str:
    if failed.rollback_of is not None:
        return "roll back again"
    if failed.environment is Environment.PREVIEW:
        return "the task gets another preview with its next proven commit"
    verb = "retry" if failed.environment is Environment.STAGING else "deploy"
    return f"{verb} its task group"
