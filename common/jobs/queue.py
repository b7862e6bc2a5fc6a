"""The job queue: all changes of job rows, from enqueueing and claiming to retrying and deleting.

The rows are the queue; messages only speed it up. Every write of a worker is fenced: if another worker has claimed the
job since, it raises LeaseLost, which rolls back the worker's transaction. `JOB_EDGES` lists the state changes.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, or_, select, update

from common.database import engines
from common.database.compiled_statements import Statement
from common.database.lazy_sessions import LazySession
from common.errors import LeaseLost
from common.jobs.announcer import LONGEST_DELAY_SECONDS, Announcement
from common.jobs.catalogue import CATALOGUE, LEASE_SECONDS, Kind, Lease, Queue, chain_of_this_thread
from common.jobs.queue_statements import (
    CLAIM,
    CLAIMED,
    ENQUEUE,
    ENQUEUE_NOW,
    FINISH,
    HELD,
    LIVE,
    NO_FAILURES,
    RUN_AGAIN,
    is_due,
)
from common.machine.waiting import growing_delay
from common.models.insertion import insert_values
from common.models.journal import Job
from common.telemetry.tracing import trace_parent
from common.values.names import new_id
from common.values.states import LIVE_JOB, By, JobState

MOST_SWEPT = 200
MOST_REPLACED = 500
"""Parked jobs that are deleted at once. There is one, but for those that an older version left."""
AFTER_LEASE_SECONDS = 0.1
"""How long after the end of a lease a job is sent again, so that the claim does not come too early."""
LONGEST_WAIT_SECONDS = 300
"""Longest wait, even if a provider asks for more."""


def live_job(kind: str, subject_id: str) -> Select[Job]:
    """Query for the queued or running job of this kind for this subject. There is at most one."""
    return select(Job).where(Job.live_key == _live_key(kind, subject_id))


def back_off(times: int) -> float:
    """Seconds to wait after `times` failures in a row: exponential with full jitter, up to 60 s."""
    longest = growing_delay(times, first_seconds=2.0, longest_seconds=60.0)
    return random.uniform(0.2, longest)  # noqa: S311 (jitter, not a secret)


def _live_key(kind: str, subject_id: str) -> str:
    return f"{kind}:{subject_id}"


def _is_mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    """The fence: the job is running, and no worker has claimed it after this lease."""
    return Job.id == lease.job_id, Job.fence == lease.fence, Job.state_ == JobState.RUNNING


class JobQueue:
    """Reads and writes job rows in one transaction. now: that transaction's clock."""

    def __init__(self, late: LazySession, now: Callable[[], datetime], announcement: Announcement) -> None:
        self._late = late
        self._connection = late.connection
        self._now = now
        self._announcement = announcement
        self._has_taken_along = False

    def enqueue(self, kind: Kind, subject_id: str, *, project_id: str | None, after_seconds: float = 0) -> str:
        """Insert the job, or have the live one for the same subject run once more. Returns the job's id."""
        insertion, values = self._insertion(kind, subject_id, project_id, after_seconds)
        self._late.flush()
        if engines.is_sqlite():
            job_id = str(insertion.rows(self._connection, **values)[0][0])
        else:
            # As MariaDB and MySQL count it, an inserted row is one, and one that was there and changed is two.
            changed, _id = insertion.run(self._connection, **values)
            is_new = changed == 1
            job_id = str(values["id"] if is_new else LIVE.rows(self._connection, live_key=values["live_key"])[0][0])
        self._announcement.wake_worker(kind.name, job_id, after_seconds)
        return job_id

    def enqueue_with_next(self, kind: Kind, subject_id: str, *, project_id: str | None) -> None:
        """As `enqueue`, for who does not need the id: see Statement.run_with_next."""
        if engines.is_sqlite():
            self._late.flush()
            # Who enqueues so has one job for all, which is mostly live while many do.
            live = RUN_AGAIN.rows(self._connection, live_key=_live_key(kind.name, subject_id), due=self._now())
            if live:
                self._announcement.wake_worker(kind.name, str(live[0][0]))
            else:
                self.enqueue(kind, subject_id, project_id=project_id)
            return
        insertion, values = self._insertion(kind, subject_id, project_id, 0)
        self._late.flush()
        insertion.run_with_next(self._connection, None, **values)
        wake_worker = functools.partial(self._announcement.wake_worker, kind.name)
        LIVE.run_with_next(
            self._connection, lambda rows, _id: wake_worker(str(rows[0][0])), live_key=values["live_key"]
        )

    def _insertion(
        self, kind: Kind, subject_id: str, project_id: str | None, after_seconds: float
    ) -> tuple[Statement, dict[str, object]]:
        """The statement that inserts a new job, and its parameters."""
        values: dict[str, object] = {
            "id": new_id(), "kind": kind.name, "subject_id": subject_id, "project_id": project_id,
            "live_key": _live_key(kind.name, subject_id), "state": JobState.QUEUED, "generation": 1, "attempts": 0,
            "fence": 0, "waits": 0, "trace_parent": trace_parent(),
        }  # fmt: skip
        if not (after_seconds or engines.is_sqlite()):
            return ENQUEUE_NOW, values
        now = self._now()
        return ENQUEUE, {**values, "next_at": now + timedelta(seconds=after_seconds), "created_at": now}

    def enqueue_new(self, kind: Kind, subjects: Sequence[tuple[str, str, str | None]]) -> None:
        """Insert a job for each subject, at once: (id, project, traceparent). They are new, so none has a live job.

        The first one is claimed at once for a chain that takes jobs of this kind along.
        """
        now = self._now()
        chain = chain_of_this_thread()
        rows = [
            {
                "id": new_id(), "subject_id": subject_id, "project_id": project_id,
                "live_key": _live_key(kind.name, subject_id), "trace_parent": trace,
            }
            for subject_id, project_id, trace in subjects
        ]  # fmt: skip
        same = {"kind": kind.name, "generation": 1, "next_at": now, "waits": 0, "created_at": now}
        self._late.flush()
        if rows and chain is not None and chain.takes(kind) and not self._has_taken_along:
            self._has_taken_along = True
            first, *rows = rows
            until = now + timedelta(seconds=LEASE_SECONDS)
            insert_values(
                self._connection, Job, [first], state=JobState.RUNNING, attempts=1, fence=1, lease_until=until,
                started_at=now, **same,
            )  # fmt: skip
            chain.beside.append(Lease(str(first["id"]), kind.name, *_beside(subjects[0])))
        insert_values(self._connection, Job, rows, state=JobState.QUEUED, attempts=0, fence=0, **same)
        for row in rows:
            self._announcement.wake_worker(kind.name, str(row["id"]))

    def claim(self, job_id: str) -> Lease | None:
        """Claim the job for LEASE_SECONDS. Returns None if it is not due, held by another worker, or over.

        The attempt is counted now, before the work, so that a job which kills its process is counted, too.
        """
        self._late.flush()
        if engines.is_sqlite():
            now = self._now()
            claimed = CLAIM.rows(self._connection, id=job_id, now=now, until=now + timedelta(seconds=LEASE_SECONDS))
        else:
            # The server's clock, and one round trip for both: the reply to the claim is the new fence, or 0.
            fences: list[int] = []
            CLAIM.run_with_next(self._connection, lambda _rows, fence: fences.append(fence), id=job_id)
            claimed = CLAIMED.rows(self._connection, id=job_id)
            claimed = claimed if any(fences) else []
        return Lease(*claimed[0]) if claimed else None

    def renew(self, lease: Lease) -> bool:
        """Extend the claim to LEASE_SECONDS from now. Returns False if another worker has the job or it is over."""
        return self._update(*_is_mine(lease), lease_until=self._now() + timedelta(seconds=LEASE_SECONDS))

    def is_held(self, lease: Lease) -> bool:
        """Whether the lease is still valid: no other worker has claimed the job, and it is not over."""
        return bool(HELD.rows(self._connection, id=lease.job_id, fence=lease.fence))

    def hold(self, lease: Lease) -> Job:
        """Lock the job's row until commit and return it. Raises LeaseLost if the lease is not valid any more."""
        mine = select(Job).where(*_is_mine(lease)).with_for_update().execution_options(populate_existing=True)
        job = self._late.session.scalars(mine).first()
        if job is None:
            raise LeaseLost(lease.job_id)
        return job

    def finish(self, lease: Lease) -> None:
        """Mark the job done, or queue it at once if it was enqueued again since its claim. LeaseLost: see `hold`."""
        # A single statement in the usual case: enqueueing the same job waits for its row lock.
        self._late.flush()
        # The server's own clock needs no round trip to ask for it.
        now = {"now": self._now()} if engines.is_sqlite() else {}
        is_done, _id = FINISH.run(
            self._connection, id=lease.job_id, lease_fence=lease.fence, lease_generation=lease.generation, **now
        )
        if is_done:
            self._tell_progress(lease, {"state": JobState.DONE})
            return
        job = self.hold(lease)
        _forget_failures(job)
        job.error = None
        self._go_on(lease, job, 0)

    def again(self, lease: Lease, *, after_seconds: float, still_waits: bool = False) -> None:
        """Run the job again later, or at once if it was enqueued again since its claim. LeaseLost: see `hold`.

        still_waits: what it waits for has begun, and may fail as before. Then the job keeps since when it waits for a
        provider, and how often it did, so that the limit is reached. A wait for access is over in any case.
        """
        job = self.hold(lease)
        if still_waits and job.waits_for is None:
            job.attempts, job.error = 0, None
        else:
            _forget_failures(job)
        self._go_on(lease, job, after_seconds if job.generation == lease.generation else 0)

    def fail(self, lease: Lease, reason: str, *, after_seconds: float = 0) -> None:
        """Record a failed attempt: run the job again after a back-off of at least `after_seconds`."""
        job = self.hold(lease)
        job.error = reason[:500]
        self._requeue(job, max(after_seconds, back_off(job.attempts)), wakes_worker=False)

    def waiting_since(self, lease: Lease, for_: str | None) -> datetime:
        """Since when the job has waited for `for_` without interruption; now, if it does not wait for it yet."""
        job = self._late.session.get(Job, lease.job_id)
        return (job.unavailable_since if job is not None and job.waits_for == for_ else None) or self._now()

    def wait(
        self, lease: Lease, reason: str, *, since: datetime, for_: str | None, after_seconds: float | None
    ) -> None:
        """Run the job again later without counting the attempt. after_seconds None: after a back-off."""
        job = self.hold(lease)
        job.unavailable_since, job.waits_for, job.waits = since, for_, job.waits + 1
        job.error, job.attempts = reason[:500], max(0, job.attempts - 1)
        wait = back_off(job.waits) if after_seconds is None else min(after_seconds, LONGEST_WAIT_SECONDS)
        self._requeue(job, wait, wakes_worker=True)

    def is_enqueued_again(self, lease: Lease) -> bool:
        """Whether the job was enqueued again since its claim."""
        generation = select(Job.generation).where(Job.id == lease.job_id)
        return self._late.session.scalars(generation).first() not in {None, lease.generation}

    def park(self, lease: Lease, reason: str) -> None:
        """Park the job: it does not run again until a person retries it.

        If it was enqueued again since its claim, it is not parked: it runs again after a back-off, with all attempts.
        Else the jobs of this kind that were parked before for the same subject are deleted: this one stands for them.
        """
        job = self.hold(lease)
        job.error = reason[:2000]
        if job.generation != lease.generation:
            job.attempts = 0
            self._requeue(job, back_off(1), wakes_worker=True)
            return
        job.waits_for = None
        self._move(job, JobState.FAILED)
        self._late.flush()
        # What the sweep enqueues would leave a row every few seconds for as long as a provider refuses it.
        same = (Job.subject_id == job.subject_id, Job.state_ == JobState.FAILED, Job.kind == job.kind, Job.id != job.id)
        earlier = self._late.session.scalars(select(Job.id).where(*same).limit(MOST_REPLACED)).all()
        if earlier:
            self._delete(Job.id.in_(earlier), *same)

    def retry(self, job: Job) -> None:
        """Queue a parked job, which is locked, again with all attempts. IllegalTransition in any other state."""
        self._move(job, JobState.QUEUED, By.PERSON)
        _forget_failures(job)
        job.error, job.next_at = None, self._now()
        self._announcement.wake_worker(job.kind, job.id)

    def show_progress(self, lease: Lease, done: int | None, total: int | None, message: str) -> None:
        """Store the job's progress and tell the project's followers. Neither happens if the lease is not valid."""
        message = message[:500]
        if self._update(*_is_mine(lease), progress_done=done, progress_total=total, progress_message=message):
            body = {"state": JobState.RUNNING, "done": done, "total": total, "message": message}
            self._tell_progress(lease, body)

    def show_reason(self, lease: Lease, reason: str | None) -> None:
        """Store why the job has to wait, without counting a failure. None: it does not wait any more."""
        self._update(*_is_mine(lease), error=reason)

    def wake_workers_for_due_jobs(self, *, except_for: Collection[Queue] = ()) -> int:
        """Send messages for due jobs: those whose message was lost, whose worker died, or whose wait is over.

        Jobs whose lease ends before the next sweep get theirs when it has ended. except_for: queues whose jobs get none
        this time. Returns how many of the others are due (at most MOST_SWEPT).
        """
        now = self._now()
        due = select(Job.kind, Job.id).where(*is_due(now)).order_by(Job.next_at, Job.id).limit(MOST_SWEPT)
        if except_for:
            due = due.where(Job.kind.not_in([kind.name for kind in CATALOGUE.values() if kind.queue in except_for]))
        found = self._late.session.execute(due).all()
        for kind, job_id in found:
            self._announcement.wake_worker(kind, job_id)
        for kind, job_id, seconds in self._ending(now):
            self._announcement.wake_worker(kind, job_id, seconds + AFTER_LEASE_SECONDS)
        return len(found)

    def _ending(self, now: datetime) -> list[tuple[str, str, float]]:
        """The jobs whose lease ends before the next sweep, and in how many seconds.

        Their workers have died: one that lives renews a lease long before its end.
        """
        last = now + timedelta(seconds=LONGEST_DELAY_SECONDS - AFTER_LEASE_SECONDS)
        ending = select(Job.kind, Job.id, Job.lease_until).where(
            Job.state_ == JobState.RUNNING, Job.lease_until >= now, Job.lease_until < last
        )
        found = self._late.session.execute(ending.limit(MOST_SWEPT)).all()
        return [(kind, job_id, (until - now).total_seconds()) for kind, job_id, until in found if until is not None]

    def bring_back(self, step: timedelta) -> None:
        """The clock was set back by this much: no job waits longer for that, or for a worker that has died."""
        latest = self._now() + timedelta(seconds=LEASE_SECONDS)
        ahead = select(Job).where(Job.state_.in_(LIVE_JOB), (Job.next_at > self._now()) | (Job.lease_until > latest))
        for job in self._late.session.scalars(ahead):
            job.next_at -= step if job.next_at > self._now() else timedelta(0)
            if job.lease_until is not None and job.lease_until > latest:
                job.lease_until -= step

    def leave_out(self, gap: timedelta) -> None:
        """The platform was off for so long: no job has waited for a provider meanwhile."""
        for job in self._late.session.scalars(select(Job).where(Job.state_.in_(LIVE_JOB), Job.waits > 0)):
            job.unavailable_since = min(self._now(), (job.unavailable_since or self._now()) + gap)

    def is_project_busy(self, project_id: str, *, except_for: Lease, kept: Kind) -> bool:
        """Whether a job of the project other than this one is running, or is queued and not of the kind `kept`.

        A job that is queued although `drop_queued` was called before has been running since, or is claimed just now.
        """
        is_at_work = or_(Job.state_ == JobState.RUNNING, and_(Job.state_ == JobState.QUEUED, Job.kind != kept.name))
        found = select(Job.id).where(*_others(project_id, except_for), is_at_work).limit(1)
        return self._late.session.execute(found).first() is not None

    def drop_queued(self, project_id: str, *, except_for: Lease, kept: Kind) -> None:
        """Delete the project's queued jobs, except for this job and those of the kind `kept`."""
        self._delete(*_others(project_id, except_for), Job.kind != kept.name, Job.state_ == JobState.QUEUED)

    def leave_project(self, lease: Lease, project_id: str) -> None:
        """Delete the project's job rows except for this job's, which stays without a project."""
        self._update(*_is_mine(lease), project_id=None)
        self._delete(*_others(project_id, lease))

    def _go_on(self, lease: Lease, job: Job, after_seconds: float) -> None:
        """The job has another step: claim it at once for the chain that holds the lease, else queue it."""
        chain = chain_of_this_thread()
        if after_seconds > 0 or chain is None or chain.lease != lease or time.monotonic() >= chain.until:
            self._requeue(job, after_seconds, wakes_worker=True)
            return
        job.fence, job.attempts, job.next_at = job.fence + 1, 1, self._now()
        job.lease_until = self._now() + timedelta(seconds=LEASE_SECONDS)
        chain.following = replace(lease, fence=job.fence, generation=job.generation, attempts=1)

    def _requeue(self, job: Job, after_seconds: float, *, wakes_worker: bool) -> None:
        self._move(job, JobState.QUEUED)
        job.next_at = self._now() + timedelta(seconds=after_seconds)
        if wakes_worker:
            self._announcement.wake_worker(job.kind, job.id, after_seconds)

    def _move(self, job: Job, new: JobState, by: By = By.PLATFORM) -> None:
        job.change_state(new, by)
        is_live = new in LIVE_JOB
        job.live_key = _live_key(job.kind, job.subject_id) if is_live else None
        job.finished_at = None if is_live else self._now()
        job.lease_until = None

    def _tell_progress(self, lease: Lease, body: Mapping[str, object]) -> None:
        if lease.project_id:
            about = {"jobId": lease.job_id, "kind": lease.kind, "subjectId": lease.subject_id}
            self._announcement.notify(lease.project_id, "job:progress", {**about, **body})

    def _update(self, *where: ColumnElement[bool], **values: object) -> bool:
        self._late.flush()
        statement = update(Job).where(*where).values(values).execution_options(synchronize_session=False)
        return bool(engines.rows_changed(self._late.session, statement))

    def _delete(self, *where: ColumnElement[bool]) -> None:
        self._late.flush()
        self._late.session.execute(delete(Job).where(*where).execution_options(synchronize_session=False))


def _beside(subject: tuple[str, str, str | None]) -> tuple[str, str, int, int, int, str | None]:
    """The rest of the lease of a job that is new and claimed: its fence, generation and attempts are 1."""
    subject_id, project_id, trace = subject
    return subject_id, project_id, 1, 1, 1, trace


def _others(project_id: str, except_for: Lease) -> tuple[ColumnElement[bool], ...]:
    return Job.project_id == project_id, Job.id != except_for.job_id


def _forget_failures(job: Job) -> None:
    for name, value in NO_FAILURES.items():
        setattr(job, name, value)
