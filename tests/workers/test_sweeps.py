"""The sweeps: which periodic jobs they enqueue, and what they delete."""

from __future__ import annotations

from datetime import timedelta

from common.models import Job, Mark
from common.services import sweeping
from common.states import JobState
from common.transaction import Transaction, transactional
from tests.workers.platform import Platform
from workers import sweeps


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
