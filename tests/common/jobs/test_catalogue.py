"""The life of a job row: one claim at a time, a fence for every write, attempts counted before the work."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from common.errors import Conflict, LeaseLost
from common.events import feed
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models import Job
from common.models.journal import Mark
from common.services.activity import jobs as rows
from common.services.requests.access import Caller
from common.transaction import Transaction, snapshot, transactional
from common.values.states import JobState, Role

ADMIN = Caller("u", "ada", Role.ADMIN)


@transactional
def _enqueue(tx: Transaction, after_seconds: float = 0) -> str:
    return tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None, after_seconds=after_seconds)


@transactional
def _finish(tx: Transaction, lease: Lease) -> None:
    tx.finish(lease)


@transactional
def _again(tx: Transaction, lease: Lease, seconds: float) -> None:
    tx.again(lease, after_seconds=seconds)


@transactional
def _expire(tx: Transaction, job_id: str) -> None:
    """As if the lease had run out, or the wait were over."""
    job = tx.lock(Job, job_id)
    job.next_at = tx.now()
    if job.lease_until is not None:
        job.lease_until = tx.now() - timedelta(seconds=1)


def _job(job_id: str) -> Job:
    with snapshot() as read:
        job = read.get(Job, job_id)
        assert job is not None
        return job


def _claim(job_id: str) -> Lease:
    lease = rows.claim_job(job_id)
    assert lease is not None
    return lease


def test_one_of_many_claims_wins(on_database: str) -> None:
    job_id = _enqueue()
    won: list[Lease] = []
    threads = [threading.Thread(target=lambda: won.extend(filter(None, [rows.claim_job(job_id)]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(lease.fence, lease.attempts) for lease in won] == [(1, 1)]


def test_an_old_claim_can_write_nothing(on_database: str) -> None:
    job_id = _enqueue()
    old = _claim(job_id)
    _expire(job_id)
    new = _claim(job_id)
    for act in (lambda: _finish(old), lambda: _again(old, 1), lambda: rows.fail_attempt(old, "x")):
        with pytest.raises(LeaseLost):
            act()
    assert not rows.renew_lease(old)
    assert rows.renew_lease(new)
    _finish(new)
    assert _job(job_id).state == JobState.DONE


def test_a_wait_is_cut_short_by_what_is_enqueued_meanwhile(on_database: str) -> None:
    job_id = _enqueue()
    lease = _claim(job_id)
    _again(lease, 3600)
    assert rows.claim_job(job_id) is None
    _enqueue()
    lease = _claim(job_id)
    _enqueue()
    _again(lease, 3600)
    assert rows.claim_job(job_id) is not None


@pytest.mark.parametrize("with_next", [False, True], ids=["at once", "with the next statement"])
def test_what_is_enqueued_while_the_worker_dies_in_the_last_attempt_has_all_attempts(
    on_database: str, with_next: bool
) -> None:
    @transactional
    def enqueue(tx: Transaction) -> None:
        if with_next:
            tx.enqueue_with_next(catalogue.SCHEDULE_TASKS, "platform", project_id=None)
        else:
            tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)

    job_id, most = _enqueue(), catalogue.SCHEDULE_TASKS.attempts
    for _ in range(most):
        _claim(job_id)
        _expire(job_id)
    enqueue()

    for attempt in range(most):
        assert _claim(job_id).attempts == attempt + 1
        _expire(job_id)
    assert rows.claim_job(job_id) is None
    assert _job(job_id).state == JobState.FAILED


def test_a_job_that_kills_its_worker_is_parked(on_database: str) -> None:
    job_id = _enqueue()
    parked: list[tuple[str, str]] = []
    for _ in range(catalogue.SCHEDULE_TASKS.attempts):
        assert rows.claim_job(job_id, lambda *what: parked.append(what)) is not None
        _expire(job_id)
    assert rows.claim_job(job_id, lambda *what: parked.append(what)) is None
    job = _job(job_id)
    assert (job.state, job.live_key) == (JobState.FAILED, None)
    assert job.error is not None
    assert "given up after 5 attempts" in job.error
    assert [subject for subject, _reason in parked] == ["platform"]


def test_a_world_that_does_not_answer_costs_no_attempt(on_database: str) -> None:
    job_id = _enqueue()
    for _ in range(catalogue.SCHEDULE_TASKS.attempts * 2):
        lease = _claim(job_id)
        rows.put_off(lease, "away", None, None)
        _expire(job_id)
    assert (_job(job_id).state, _job(job_id).attempts) == (JobState.QUEUED, 0)


def test_the_time_in_which_the_platform_was_off_is_no_day_without_an_answer(on_database: str) -> None:
    job_id = _enqueue()
    rows.put_off(_claim(job_id), "away", None, None)
    rows.sweep_jobs()

    @transactional
    def pass_(tx: Transaction, hours: float, *, is_off: bool) -> None:
        gap, job = timedelta(hours=hours), tx.lock(Job, job_id)
        assert job.unavailable_since is not None
        job.unavailable_since -= gap
        if is_off:
            tx.session.execute(update(Mark).where(Mark.name == "sweep").values(at=tx.now() - gap))

    for hours, is_off in ((23, False), (60, True), (0.5, False)):
        pass_(hours, is_off=is_off)
        rows.sweep_jobs()
        _expire(job_id)
        rows.put_off(_claim(job_id), "away", None, None)
        assert _job(job_id).state == JobState.QUEUED

    pass_(1, is_off=False)
    _expire(job_id)
    rows.put_off(_claim(job_id), "away", None, None)
    assert _job(job_id).state == JobState.FAILED


def test_the_sweep_rings_what_is_due_and_nothing_else(on_database: str) -> None:
    # A queue that is full of messages of earlier tests would get none.
    feed.client(timeout=60).flushall()
    job_id = _enqueue(after_seconds=3600)
    assert rows.sweep_jobs() == 0
    _enqueue()
    assert rows.sweep_jobs() == 1
    _claim(job_id)
    assert rows.sweep_jobs() == 0
    _expire(job_id)
    assert rows.sweep_jobs() == 1


def test_only_a_parked_job_can_be_retried(on_database: str) -> None:
    job_id = _enqueue()
    with pytest.raises(Conflict, match="is queued"):
        rows.retry_job(job_id, by=ADMIN)
    rows.give_up(_claim(job_id), "refused")
    assert rows.retry_job(job_id, by=ADMIN).state == JobState.QUEUED
    rows.give_up(_claim(job_id), "refused")
    newer = _enqueue()
    with pytest.raises(Conflict, match="replaced by a newer one"):
        rows.retry_job(job_id, by=ADMIN)
    with snapshot() as read:
        live = read.all(select(Job.id).where(Job.live_key.is_not(None)))
    assert list(live) == [newer]


def test_failures_back_off_and_are_parked_with_their_reason(on_database: str) -> None:
    job_id = _enqueue()
    for attempt in range(1, catalogue.SCHEDULE_TASKS.attempts + 1):
        lease = _claim(job_id)
        assert lease.attempts == attempt
        rows.fail_attempt(lease, "ValueError: no")
        _expire(job_id)
    job = _job(job_id)
    assert (job.state, job.error) == (JobState.FAILED, "ValueError: no")
