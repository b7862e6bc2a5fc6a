"""Jobs that begin new work wait, unclaimed, for room on the disk; all others go on."""

from __future__ import annotations

import pytest

from common.jobs import catalogue
from common.jobs.catalogue import Kind
from common.models import Job
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from common.values.states import JobState
from workers.registry import registered


@transactional
def _enqueue(tx: Transaction, kind: Kind) -> str:
    return tx.enqueue(kind, "platform", project_id=None)


def _state(job_id: str) -> tuple[str, int]:
    with snapshot() as read:
        job = read.get(Job, job_id)
        assert job is not None
        return job.state, job.attempts


def _reserve(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setenv("AIWORKER_DISK_RESERVE_BYTES", str(count))
    settings.cache_clear()


def test_new_work_waits_for_room_and_begins_when_there_is(on_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = _enqueue(catalogue.SCHEDULE_TASKS)
    _reserve(monkeypatch, 2**50)

    registered[catalogue.SCHEDULE_TASKS.name](job_id)
    assert _state(job_id) == (JobState.QUEUED, 0)

    _reserve(monkeypatch, 0)
    registered[catalogue.SCHEDULE_TASKS.name](job_id)
    assert _state(job_id) == (JobState.DONE, 1)


def test_what_makes_room_does_not_wait_for_it(on_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _reserve(monkeypatch, 2**50)
    job_id = _enqueue(catalogue.CLEAN_UP_TASK)

    registered[catalogue.CLEAN_UP_TASK.name](job_id)

    assert _state(job_id)[0] == JobState.DONE
