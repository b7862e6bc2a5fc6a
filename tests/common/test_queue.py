"""Job rows: every verb moves a job along an edge of the table or not at all, and only for whoever holds its lease."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import common
from common import jobs
from common.errors import IllegalTransition, LeaseLost
from common.jobs import Lease
from common.models import Job
from common.queue import LONGEST_WAIT_SECONDS, back_off, due_jobs, live_job
from common.states import JOB_EDGES, LIVE_JOB, By, JobState
from common.transaction import Transaction, snapshot, transactional

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
def _enqueue(tx: Transaction, kind: jobs.Kind = jobs.SCHEDULE_TASKS, subject_id: str = "platform") -> str:
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


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_moves_a_job_along_an_edge_or_not_at_all(on_database: str, name: str, state: JobState) -> None:
    new, by, verb = VERBS[name]
    lease = _claim(_enqueue())
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


def test_every_edge_is_taken_by_a_verb(on_database: str) -> None:
    taken = {(new, by) for new, by, _verb in VERBS.values()}
    assert {(new, by) for (_old, new), who in JOB_EDGES.items() for by in who} == taken


def test_only_the_queue_writes_job_rows() -> None:
    written = re.compile(r"\b(update|delete|insert)\(Job\)|\bJob\(\w+=|add\(\s*Job\(")
    folders = [COMMON, COMMON.parent / "web", COMMON.parent / "workers"]
    sources = [path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts]
    places = {path for path in sources if written.search(path.read_text())}
    assert places == {COMMON / "queue.py", COMMON / "job_statements.py"}
    used = re.compile(r"from common\.job_statements import (\([^)]*|.*)\b(CLAIM|ENQUEUE(_NOW)?|FINISH|RUN_AGAIN)\b")
    assert [path for path in sources if used.search(path.read_text())] == [COMMON / "queue.py"]


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


def test_a_job_keeps_its_key_while_it_lives_and_no_longer(on_database: str) -> None:
    first = _claim(_enqueue())
    with snapshot() as read:
        live = read.find(live_job(first.kind, first.subject_id))
        assert live is not None
        assert live.id == first.job_id

    _do(VERBS["park"][2], first)
    job = _job(first.job_id)
    assert (job.live_key, job.lease_until, job.error) == (None, None, "refused")
    assert job.finished_at is not None
    assert _enqueue() != first.job_id


@pytest.mark.parametrize("with_next", [False, True], ids=["at once", "with the next statement"])
def test_a_live_job_that_is_enqueued_again_runs_once_more(on_database: str, with_next: bool) -> None:
    @transactional
    def enqueue(tx: Transaction) -> None:
        if with_next:
            tx.enqueue_with_next(jobs.SCHEDULE_TASKS, "platform", project_id=None)
        else:
            tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)

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


def test_a_job_that_is_enqueued_again_during_its_last_attempt_is_not_parked(on_database: str) -> None:
    lease = _claim(_enqueue())
    _do(VERBS["fail"][2], lease)
    _put(lease.job_id, JobState.QUEUED)
    last = _claim(lease.job_id)
    assert _enqueue() == last.job_id

    _do(VERBS["park"][2], last)

    job = _job(last.job_id)
    assert (job.state, job.attempts, job.error, job.finished_at) == (JobState.QUEUED, 0, "refused", None)
    _put(job.id, JobState.QUEUED)
    _do(VERBS["park"][2], _claim(job.id))
    assert _job(job.id).state is JobState.FAILED


def test_a_retried_job_begins_anew(on_database: str) -> None:
    lease = _claim(_enqueue())
    _do(VERBS["wait"][2], lease)
    _put(lease.job_id, JobState.QUEUED)
    _do(VERBS["park"][2], _claim(lease.job_id))

    _do(VERBS["retry"][2], lease)

    job = _job(lease.job_id)
    assert (job.attempts, job.waits, job.error, job.unavailable_since, job.finished_at) == (0, 0, None, None, None)
    assert _claim(lease.job_id).fence == 3


@pytest.mark.parametrize(("total", "done"), [(2, 2), (None, 1)], ids=["of a known number", "of an unknown number"])
def test_a_done_job_says_how_often_it_was_tried_and_shows_no_step(
    on_database: str, total: int | None, done: int
) -> None:
    lease = _claim(_enqueue())
    _do(VERBS["fail"][2], lease)
    _put(lease.job_id, JobState.QUEUED)
    last = _claim(lease.job_id)
    _do(lambda tx, lease: tx.queue.show_progress(lease, 1, total, "creating the repository"), last)

    _do(VERBS["finish"][2], last)

    job = _job(last.job_id)
    assert (job.state, job.attempts) == (JobState.DONE, 2)
    assert (job.progress_done, job.progress_total, job.progress_message) == (done, total, None)


def test_a_job_that_was_enqueued_again_is_tried_from_the_first_attempt(on_database: str) -> None:
    lease = _claim(_enqueue())
    _enqueue()

    _do(VERBS["finish"][2], lease)

    assert (_job(lease.job_id).state, _job(lease.job_id).attempts) == (JobState.QUEUED, 0)


def test_a_job_that_is_parked_again_and_again_leaves_one_row(on_database: str) -> None:
    """As what a sweep enqueues every few seconds, for as long as a provider refuses it."""

    def parked(kind: jobs.Kind = jobs.TAKE_DOWN, subject_id: str = "one") -> str:
        lease = _claim(_enqueue(kind, subject_id))
        _do(VERBS["park"][2], lease)
        return lease.job_id

    done = _claim(_enqueue(jobs.TAKE_DOWN, "one"))
    _do(VERBS["finish"][2], done)
    others = {parked(jobs.TAKE_DOWN, "another"), parked(jobs.DEPLOY, "one"), done.job_id}

    newest = [parked() for _ in range(3)][-1]

    with snapshot() as read:
        assert {job.id for job in read.all(select(Job))} == {*others, newest}
    _do(lambda tx, _lease: tx.queue.retry(tx.get(Job, newest)), done)
    assert _job(newest).state is JobState.QUEUED


def test_a_wait_is_no_attempt_and_has_an_end(on_database: str) -> None:
    lease = _claim(_enqueue())

    @transactional
    def wait(tx: Transaction) -> tuple[float, bool]:
        before = tx.queue.waiting_since(lease, "access")
        tx.queue.wait(lease, "away", since=before - timedelta(seconds=9), for_="access", after_seconds=9_999)
        ahead = tx.get(Job, lease.job_id).next_at - tx.now()
        since = tx.queue.waiting_since(lease, "access")
        return ahead.total_seconds(), since < before and tx.queue.waiting_since(lease, None) == tx.now()

    assert wait() == (LONGEST_WAIT_SECONDS, True)
    job = _job(lease.job_id)
    assert (job.attempts, job.waits, job.error, job.waits_for) == (0, 1, "away", "access")


@pytest.mark.parametrize(("for_", "is_kept"), [(None, True), ("access", False)])
def test_a_wait_goes_on_counting_while_what_it_is_for_has_only_begun(
    on_database: str, for_: str | None, is_kept: bool
) -> None:
    lease = _claim(_enqueue())

    @transactional
    def wait(tx: Transaction) -> datetime:
        since = tx.now() - timedelta(hours=9)
        tx.queue.wait(lease, "away", since=since, for_=for_, after_seconds=None)
        return since

    since = wait()
    _put(lease.job_id, JobState.QUEUED)
    _do(lambda tx, lease: tx.again(lease, after_seconds=0, still_waits=True), begun := _claim(lease.job_id))
    job = _job(lease.job_id)
    kept = (since, 1) if is_kept else (None, 0)
    assert (job.unavailable_since, job.waits, job.waits_for, job.attempts) == (*kept, None, 0)
    assert job.error is None or not is_kept
    assert begun.attempts == 1


def test_a_back_off_grows_to_a_minute() -> None:
    for times in range(40):
        assert 0.2 <= back_off(times) <= min(60.0, max(0.2, 2.0**times))


def test_a_job_is_due_when_its_time_has_come_and_nobody_holds_it(on_database: str) -> None:
    job_id = _enqueue()

    def due() -> list[str]:
        with snapshot() as read:
            return [job.id for job in read.all(due_jobs(read.now()))]

    assert due() == [job_id]
    lease = _claim(job_id)
    assert due() == []
    _put(job_id, JobState.RUNNING)
    assert due() == [job_id]
    _do(VERBS["again"][2], _claim(job_id))
    assert due() == []
    assert lease.job_id == job_id


def test_a_projects_jobs_go_with_it(on_database: str) -> None:
    deletion = _claim(_enqueue(jobs.DELETE_PROJECT, PROJECT))
    queued, closing = _enqueue(jobs.VERIFY_RUN, "r"), _enqueue(jobs.CLOSE_RUN, "r")
    running = _claim(_enqueue(jobs.PUBLISH_TASK, "t"))

    @transactional
    def jobs_left(tx: Transaction) -> set[str]:
        return set(tx.session.scalars(select(Job.id)))

    @transactional
    def delete(tx: Transaction) -> None:
        tx.queue.leave_project(deletion, PROJECT)
        tx.finish(deletion)

    @transactional
    def is_busy(tx: Transaction) -> bool:
        return tx.queue.is_project_busy(PROJECT, except_for=deletion, kept=jobs.CLOSE_RUN)

    _do(lambda tx, lease: tx.queue.drop_queued(PROJECT, except_for=lease, kept=jobs.CLOSE_RUN), deletion)
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
