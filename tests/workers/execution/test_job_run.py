"""The frame of every job: what becomes of it by the way its function ends."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

import workers.execution.job_run
from common.errors import CutShort
from common.events import feed
from common.jobs import catalogue
from common.jobs.announcer import announcer
from common.jobs.catalogue import Lease
from common.models import Job
from common.services.activity import jobs as rows
from common.transaction import Transaction, snapshot, transactional
from common.values.states import JobState
from tests.job_messages import queued_job_ids
from tests.long_waits import LONG_WAIT_SECONDS
from tests.workers.platform import Platform
from workers.execution.job_run import Claimed, run_chain, run_job


@pytest.fixture
def platform(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """However busy this machine is, it cuts no chain short, and Redis hears what it is told."""
    monkeypatch.setattr(workers.execution.job_run, "LONGEST_CHAIN_SECONDS", 600)
    monkeypatch.setattr(feed, "ANSWER_SECONDS", 60)
    feed.close_client()
    yield platform
    feed.close_client()


@transactional
def _enqueue(tx: Transaction) -> str:
    return tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


@transactional
def _make_due(tx: Transaction, job_id: str) -> None:
    tx.lock(Job, job_id).next_at = tx.now()


def _row(job_id: str) -> tuple[Job, datetime]:
    with snapshot() as read:
        job = read.get(Job, job_id)
        assert job is not None
        return job, read.now()


def _ends_by(error: Exception) -> Callable[[object], None]:
    def work(_job: object) -> None:
        raise error

    return work


@pytest.mark.slow
def test_a_step_that_was_cut_short_waits_longer_each_time_until_it_is_given_up(
    platform: Platform,
) -> None:
    job_id = _enqueue()
    parked: list[str] = []
    work = _ends_by(CutShort("git diff-tree took longer than 30 s and was stopped", retry_after_seconds=30))
    for attempt, pause in ((1, 30), (2, 60), (3, 120)):
        run_job(job_id, work, lambda _subject, reason: parked.append(reason))
        job, now = _row(job_id)
        assert (job.state, job.attempts) == (JobState.QUEUED, attempt)
        assert job.started_at is not None
        # From its record on, which came between the two.
        assert job.next_at - now <= timedelta(seconds=pause) <= job.next_at - job.started_at
        assert rows.claim_job(job_id) is None
        _make_due(job_id)
    run_job(job_id, work, lambda _subject, reason: parked.append(reason))

    assert _row(job_id)[0].state == JobState.FAILED
    assert parked == ["git diff-tree took longer than 30 s and was stopped"]


@pytest.mark.slow
def test_a_machine_without_room_is_waited_for_and_nothing_is_counted(platform: Platform) -> None:
    job_id = _enqueue()
    for _ in range(8):
        run_job(job_id, _ends_by(OSError(errno.ENOSPC, "no room")), None)
        job, _now = _row(job_id)
        assert (job.state, job.attempts) == (JobState.QUEUED, 0)
        _make_due(job_id)


@transactional
def _go_on(tx: Transaction, lease: Lease, after_seconds: float) -> None:
    tx.again(lease, after_seconds=after_seconds)


@pytest.mark.slow
def test_steps_that_are_due_at_once_are_done_in_one_go_without_a_ring(platform: Platform) -> None:
    job_id = _enqueue()
    assert announcer().flush(LONG_WAIT_SECONDS)
    feed.client().flushall()
    fences: list[int] = []

    def work(job: Claimed) -> None:
        fences.append(job.lease.fence)
        assert rows.claim_job(job_id) is None, "nobody else gets it between its steps"
        if len(fences) < 4:
            _go_on(job.lease, 0)

    run_chain(job_id, work, None)

    assert fences == [1, 2, 3, 4]
    assert _row(job_id)[0].state == JobState.DONE
    assert announcer().flush(LONG_WAIT_SECONDS)
    assert queued_job_ids(catalogue.SCHEDULE_TASKS.queue) == []


@pytest.mark.slow
def test_a_chain_ends_where_a_step_waits_or_fails(platform: Platform) -> None:
    waiting = _enqueue()
    run_chain(waiting, lambda job: _go_on(job.lease, 60), None)
    assert _row(waiting)[0].state == JobState.QUEUED
    _make_due(waiting)

    def work(job: Claimed) -> None:
        steps.append(job.lease.attempts)
        if len(steps) == 2:
            raise ValueError
        _go_on(job.lease, 0)

    steps: list[int] = []
    run_chain(waiting, work, None)
    job, _now = _row(waiting)
    assert (steps, job.state, job.attempts, job.error) == ([1, 1], JobState.QUEUED, 1, "ValueError: ")


@pytest.mark.slow
def test_a_job_that_was_enqueued_meanwhile_runs_again_in_the_same_go(platform: Platform) -> None:
    job_id = _enqueue()
    seen: list[int] = []

    def work(job: Claimed) -> None:
        seen.append(job.lease.generation)
        if len(seen) == 1:
            _enqueue()

    run_chain(job_id, work, None)
    assert (seen, _row(job_id)[0].state) == ([1, 2], JobState.DONE)


@transactional
def _enqueue_runs(tx: Transaction, lease: Lease, run_ids: list[str]) -> None:
    """As the scheduler does with the runs that it assigned. There are no such runs: to prepare one does nothing."""
    tx.queue.enqueue_new(catalogue.PREPARE_RUN, [(run_id, "p", None) for run_id in run_ids])
    tx.finish(lease)


@pytest.mark.slow
def test_a_run_that_a_dead_worker_took_along_is_prepared_by_another(platform: Platform) -> None:
    lease = rows.claim_job(_enqueue())
    assert lease is not None
    with catalogue.chained(5, frozenset({catalogue.PREPARE_RUN.name})) as chain:
        _enqueue_runs(lease, ["first"])
    (taken,) = chain.beside
    assert rows.holds(taken)
    assert rows.claim_job(taken.job_id) is None, "nobody else has it while its lease is valid"
    _let_lease_end(taken.job_id)

    after = rows.claim_job(taken.job_id)

    assert after is not None
    assert (after.fence, after.attempts, rows.holds(taken)) == (2, 2, False)


@transactional
def _let_lease_end(tx: Transaction, job_id: str) -> None:
    tx.lock(Job, job_id).lease_until = tx.now() - timedelta(seconds=1)
