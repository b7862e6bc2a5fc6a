"""The frame of every job: what becomes of it by the way its function ends."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import datetime

import pytest

from common import jobs
from common.errors import CutShort
from common.models import Job
from common.services import jobs as rows
from common.states import JobState
from common.transaction import Transaction, snapshot, transactional
from tests.workers.platform import Platform
from workers.job import run_job


@transactional
def _enqueue(tx: Transaction) -> str:
    return tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


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
        assert pause - 15 < (job.next_at - now).total_seconds() <= pause
        assert rows.claim_job(job_id) is None
        _make_due(job_id)
    run_job(job_id, work, lambda _subject, reason: parked.append(reason))

    assert _row(job_id)[0].state == JobState.FAILED
    assert parked == ["git diff-tree took longer than 30 s and was stopped"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
def test_a_machine_without_room_is_waited_for_and_nothing_is_counted(platform: Platform, number: int) -> None:
    job_id = _enqueue()
    for _ in range(8):
        run_job(job_id, _ends_by(OSError(number, "no room")), None)
        job, _now = _row(job_id)
        assert (job.state, job.attempts) == (JobState.QUEUED, 0)
        _make_due(job_id)


def test_another_error_of_the_system_is_a_bug_and_counted(platform: Platform) -> None:
    job_id = _enqueue()
    run_job(job_id, _ends_by(OSError(errno.EBADF, "closed")), None)

    job, _now = _row(job_id)
    assert (job.state, job.attempts, job.error) == (JobState.QUEUED, 1, "OSError: [Errno 9] closed")
