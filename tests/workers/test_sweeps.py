"""The sweeps: which periodic jobs they enqueue, and what they delete."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.models import Job, Mark, Project, RunSession, Task
from common.services import sweeping
from common.services.agent_api import agent_sessions
from common.services.tasks import tasks
from common.transaction import Transaction, transactional
from common.values.states import JobState
from tests.workers.platform import Platform
from workers import sweeps

pytestmark = pytest.mark.slow


@transactional
def _age_jobs(tx: Transaction, by: timedelta) -> None:
    for job in tx.session.query(Job).filter(Job.state_ == JobState.DONE):
        job.finished_at = tx.now() - by


def test_every_sweep_does_its_work(platform: Platform) -> None:
    """Twice, as beat and a second beat would."""
    project = platform.project()
    task = platform.task(project)
    for _ in range(2):
        sweeps.sweep()
        sweeps.sweep_agents()
        sweeps.sweep_slowly()
    assert {mark.name for mark in platform.all(Mark)} >= {"sweep", "restore", "purge"}
    assert {job.kind for job in platform.due()} >= {"task.schedule", "runtime.restore"}
    platform.run_jobs()
    assert platform.get(type(task), task.id).state == "backlog"


def test_the_platforms_own_jobs_are_thrown_away_soon_and_others_later(platform: Platform) -> None:
    platform.project()
    platform.restore()
    platform.run_jobs()
    done = {job.kind for job in platform.all(Job, Job.state_ == JobState.DONE)}
    assert done >= {"project.provision", "runtime.restore"}

    _age_jobs(timedelta(minutes=11))
    sweeping.purge_platform_jobs()
    kept = {job.kind for job in platform.all(Job, Job.state_ == JobState.DONE)}
    assert kept == {"project.provision"}

    _age_jobs(timedelta(days=8))
    sweeping.purge_jobs()
    assert platform.all(Job, Job.state_ == JobState.DONE) == []


def _with_session(platform: Platform, project: Project, title: str) -> Task:
    """A task that is ready to test, with a stored session of two parts."""
    task = platform.task(project, title)
    claimed = platform.claim()
    agent_sessions.save_session(claimed.run.id, bytes(agent_sessions.PART_BYTES + 1))
    platform.finish(claimed, platform.push(claimed, {title: title}))
    platform.run_jobs()
    return task


def test_stored_sessions_are_deleted_once_their_task_is_over(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project()
    rejectable, cancelled = (_with_session(platform, project, title) for title in ("One", "Two"))
    tasks.cancel_task(cancelled.id, by=platform.max)
    platform.run_jobs()
    assert len(platform.all(RunSession)) == 4

    sweeping.sweep_old()

    assert [(row.task_id, row.part) for row in platform.all(RunSession)] == [(rejectable.id, 0), (rejectable.id, 1)]
