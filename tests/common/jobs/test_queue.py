"""Job rows: every verb moves a job along an edge of the table or not at all, and only for whoever holds its lease."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import common
from common.errors import IllegalTransition, LeaseLost
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models import Job
from common.transaction import Transaction, snapshot, transactional
from common.values.states import JOB_EDGES, LIVE_JOB, By, JobState

COMMON = Path(common.__file__).parent
PROJECT = "p"

Verb = Callable[[Transaction, Lease], object]

VERBS: dict[str, tuple[JobState, By, Verb]] = {
    "claim": (JobState.RUNNING, By.PLATFORM, lambda tx, lease: tx.queue.claim(lease.job_id)),
    "finish": (JobState.DONE, By.PLATFORM, lambda tx, lease: tx.finish(lease)),
    "again": (JobState.QUEUED, By.PLATFORM, lambda tx, lease: tx.again(lease, after_seconds=3600)),
    "fail": (JobState.QUEUED, By.PLATFORM, lambda tx, lease: tx.queue.fail(lease, "no")),
    "wait": (
        JobState.QUEUED,
        By.PLATFORM,
        lambda tx, lease: tx.queue.wait(lease, "away", since=tx.now(), for_=None, after_seconds=None),
    ),
    "park": (JobState.FAILED, By.PLATFORM, lambda tx, lease: tx.queue.park(lease, "refused")),
    "retry": (JobState.QUEUED, By.PERSON, lambda tx, lease: tx.queue.retry(tx.get(Job, lease.job_id))),
}
"""By its name: the state that a verb of the queue brings a job to, in whose name, and how it is called."""


@transactional
def _enqueue(tx: Transaction, kind: catalogue.Kind = catalogue.SCHEDULE_TASKS, subject_id: str = "platform") -> str:
    return tx.enqueue(kind, subject_id, project_id=PROJECT)


@transactional
def _claim(tx: Transaction, job_id: str) -> Lease:
    lease = tx.queue.claim(job_id)
    assert lease is not None
    return lease


@transactional
def _put(tx: Transaction, job_id: str, state: JobState) -> None:
    """Have the job in this state, due, and its lease, if any, run out."""
    job = tx.lock(Job, job_id)
    job.state_ = state
    job.live_key = f"{job.kind}:{job.subject_id}" if state in LIVE_JOB else None
    job.next_at = tx.now()
    job.lease_until = tx.now() - timedelta(seconds=1)


@transactional
def _put_off(tx: Transaction, job_id: str) -> None:
    """Have the job due in an hour."""
    tx.lock(Job, job_id).next_at = tx.now() + timedelta(hours=1)


@transactional
def _do(tx: Transaction, verb: Verb, lease: Lease) -> object:
    return verb(tx, lease)


def _job(job_id: str) -> Job:
    with snapshot() as read:
        job = read.get(Job, job_id)
        assert job is not None
        return job


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_moves_a_job_along_an_edge_or_not_at_all(on_database: str, name: str) -> None:
    new, by, verb = VERBS[name]
    for state in JobState:
        lease = _claim(_enqueue(subject_id=state))
        _put(lease.job_id, state)

        if by in JOB_EDGES.get((state, new), frozenset()):
            _do(verb, lease)
            assert _job(lease.job_id).state is new
        else:
            if name == "claim":
                assert _do(verb, lease) is None
            else:
                with pytest.raises(IllegalTransition if name == "retry" else LeaseLost):
                    _do(verb, lease)
            assert _job(lease.job_id).state is state


def test_only_the_queue_writes_job_rows() -> None:
    written = re.compile(r"\b(update|delete|insert)\(Job\)|\bJob\(\w+=|add\(\s*Job\(")
    folders = [COMMON, COMMON.parent / "web", COMMON.parent / "workers"]
    sources = [path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts]
    places = {path for path in sources if written.search(path.read_text())}
    assert places == {COMMON / "jobs" / "queue.py", COMMON / "jobs" / "queue_statements.py"}
    used = re.compile(
        r"from common\.jobs\.queue_statements import (\([^)]*|.*)\b(CLAIM|ENQUEUE(_NOW)?|FINISH|RUN_AGAIN)\b"
    )
    assert [path for path in sources if used.search(path.read_text())] == [COMMON / "jobs" / "queue.py"]


def test_a_job_that_another_worker_has_claimed_is_not_written(on_database: str) -> None:
    old = _claim(_enqueue())
    _put(old.job_id, JobState.RUNNING)
    new = _claim(old.job_id)
    assert new == replace(old, fence=2, attempts=2)

    @transactional
    def write(tx: Transaction, lease: Lease, said: str) -> bool:
        tx.queue.show_progress(lease, 1, 2, said)
        tx.queue.show_reason(lease, said)
        return tx.queue.is_held(lease) and tx.queue.renew(lease)

    for verb in ("finish", "again", "fail", "wait", "park"):
        with pytest.raises(LeaseLost):
            _do(VERBS[verb][2], old)
    with pytest.raises(LeaseLost):
        _do(lambda tx, lease: tx.hold(lease), old)
    assert write(new, "new")
    assert not write(old, "old")
    job = _job(old.job_id)
    assert (job.progress_message, job.error, job.fence) == ("new", "new", 2)


def test_a_job_that_was_enqueued_again_since_its_claim_is_not_parked(on_database: str) -> None:
    lease = _claim(_enqueue())
    assert _enqueue() == lease.job_id

    _do(VERBS["park"][2], lease)

    job = _job(lease.job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)


@pytest.mark.parametrize("with_next", [False, True], ids=["at once", "with the next statement"])
def test_a_live_job_that_is_enqueued_again_runs_once_more(on_database: str, with_next: bool) -> None:
    @transactional
    def enqueue(tx: Transaction) -> None:
        if with_next:
            tx.enqueue_with_next(catalogue.SCHEDULE_TASKS, "platform", project_id=None)
        else:
            tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)

    def ids() -> list[str]:
        with snapshot() as read:
            return [job.id for job in read.all(select(Job).order_by(Job.created_at, Job.id))]

    enqueue()
    (first,) = ids()
    _put(first, JobState.QUEUED)
    _put_off(first)
    enqueue()
    # It is as due as the one that was enqueued last.
    lease = _claim(first)
    assert (ids(), lease.generation) == ([first], 2)
    enqueue()
    _do(VERBS["finish"][2], lease)
    assert (_job(first).state, _job(first).generation) == (JobState.QUEUED, 3)
    _do(VERBS["finish"][2], _claim(first))
    assert _job(first).state is JobState.DONE
    enqueue()
    assert len(ids()) == 2


def test_a_projects_jobs_go_with_it(on_database: str) -> None:
    deletion = _claim(_enqueue(catalogue.DELETE_PROJECT, PROJECT))
    queued, closing = _enqueue(catalogue.VERIFY_RUN, "r"), _enqueue(catalogue.CLOSE_RUN, "r")
    running = _claim(_enqueue(catalogue.PUBLISH_TASK, "t"))

    @transactional
    def jobs_left(tx: Transaction) -> set[str]:
        return set(tx.session.scalars(select(Job.id)))

    @transactional
    def delete(tx: Transaction) -> None:
        tx.queue.leave_project(deletion, PROJECT)
        tx.finish(deletion)

    @transactional
    def is_busy(tx: Transaction) -> bool:
        return tx.queue.is_project_busy(PROJECT, except_for=deletion, kept=catalogue.CLOSE_RUN)

    _do(lambda tx, lease: tx.queue.drop_queued(PROJECT, except_for=lease, kept=catalogue.CLOSE_RUN), deletion)
    assert jobs_left() == {deletion.job_id, closing, running.job_id}
    assert queued not in jobs_left()
    assert is_busy()
    # Its step ends, and it waits for the next one.
    _do(VERBS["again"][2], running)
    assert is_busy()
    _put(running.job_id, JobState.QUEUED)
    _do(VERBS["finish"][2], _claim(running.job_id))
    assert not is_busy()

    delete()
    assert jobs_left() == {deletion.job_id}
    job = _job(deletion.job_id)
    assert (job.state, job.project_id) == (JobState.DONE, None)
