"""The database's clock is set back: nothing waits for the time that it showed before.

The rows are as the platform wrote them while the clock was ahead.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from common import jobs
from common.errors import Conflict
from common.models import (
    Agent,
    Deployment,
    Job,
    Mark,
    Project,
    Question,
    Run,
    Task,
    TaskGroup,
)
from common.services.health.sweep_age import sweep_age_seconds
from common.services.runs import runners
from common.states import Environment, Outcome
from common.transaction import Transaction, snapshot, transactional
from tests.workers.platform import Platform
from workers import sweeps

pytestmark = pytest.mark.slow

STEP = timedelta(hours=1)


@transactional
def written_ahead(tx: Transaction, *columns: Any) -> None:
    """As if all these times had been written while the clock was ahead."""
    for column in columns:
        for row in tx.all(select(column.class_).where(column.is_not(None))):
            setattr(row, column.key, getattr(row, column.key) + STEP)


def now() -> datetime:
    with snapshot() as read:
        return read.now()


@transactional
def waiting_job(tx: Transaction, seconds: float) -> str:
    lease = tx.queue.claim(tx.enqueue(jobs.VERIFY_RUN, f"run-{seconds}", project_id=None))
    assert lease is not None
    tx.again(lease, after_seconds=seconds)
    return lease.job_id


@transactional
def held_job(tx: Transaction) -> str:
    lease = tx.queue.claim(tx.enqueue(jobs.VERIFY_RUN, "held", project_id=None))
    assert lease is not None
    return lease.job_id


def test_jobs_wait_for_as_long_as_they_were_to_wait(platform: Platform) -> None:
    sweeps.sweep()
    soon, late, held = waiting_job(0.5), waiting_job(600), held_job()
    written_ahead(Mark.at, Job.next_at, Job.lease_until)

    sweeps.sweep()

    seconds = {row.id: (row.next_at - now()).total_seconds() for row in platform.all(Job)}
    assert seconds[soon] < 10
    assert 500 < seconds[late] < 610
    assert platform.get(Job, held).lease_until < now() + timedelta(seconds=jobs.LEASE_SECONDS + 10)
    assert platform.get(Mark, "sweep").at <= now()


def test_an_agent_that_is_silent_since_is_lost_in_time(platform: Platform) -> None:
    task = platform.task(platform.project())
    platform.agent_id = platform.agent()
    claimed = platform.claim()
    sweeps.sweep()
    sweeps.sweep_agents()
    written_ahead(Mark.at, Agent.seen_at, Run.seen_at)
    sweeps.sweep()
    sweeps.sweep_agents()
    assert platform.get(Agent, platform.agent_id).seen_at <= now()
    assert platform.get(Run, claimed.run.id).seen_at <= now()

    platform.silence(Agent, platform.agent_id, 61)
    platform.silence(Run, claimed.run.id, 61)
    sweeps.sweep_agents()

    assert platform.get(Agent, platform.agent_id).state == "offline"
    assert platform.get(Run, claimed.run.id).outcome == Outcome.LOST
    assert platform.get(Task, task.id).state == "backlog"


def test_a_sweep_that_stopped_is_seen(platform: Platform) -> None:
    sweeps.sweep()
    age = sweep_age_seconds()
    assert age is not None
    assert 0 <= age < 60
    written_ahead(Mark.at)
    age = sweep_age_seconds()
    assert age is not None
    assert age > 60


@transactional
def held(tx: Transaction, project_id: str) -> None:
    tx.lock(Project, project_id).held_until = tx.now() + timedelta(seconds=30)


@pytest.mark.parametrize("is_ahead", [False, True])
def test_a_rollback_takes_back_what_was_delivered_last(platform: Platform, is_ahead: bool) -> None:
    project = platform.project()
    one = platform.approved(project, "One", {"index.html": "<h1>one</h1>\n"})
    platform.to_production(platform.staged(one))
    if is_ahead:
        written_ahead(Deployment.created_at)
    two = platform.approved(project, "Two", {"index.html": "<h1>two</h1>\n"})
    group = platform.to_production(platform.staged(two))
    (live,) = platform.all(Deployment, Deployment.live_key == f"{project.id}:{Environment.PRODUCTION.value}")

    platform.rollback(live.id)

    assert platform.get(Task, one.id).rolled_back_at is None
    assert platform.get(Task, two.id).rolled_back_at is not None
    assert platform.get(TaskGroup, group.id).rolled_back_at is not None
    assert platform.get(Deployment, live.id).taken_back_at is not None
    three = platform.approved(project, "Three", {"three.txt": "3\n"})
    with pytest.raises(Conflict, match="rolled back"):
        platform.to_production(platform.staged(three))


def test_a_question_waits_for_as_long_as_the_project_says(platform: Platform) -> None:
    platform.task(platform.project(question_rules={"remindMinutes": 30, "deadlineMinutes": 60}))
    claimed = platform.claim()
    question, _is_new = runners.ask_question(claimed.run.id, "Which colour?", context=None, options=[])
    sweeps.sweep()
    written_ahead(Mark.at, Question.asked_at, Question.remind_at, Question.deadline_at)
    sweeps.sweep()

    found = platform.get(Question, question.id)
    assert found.asked_at <= now()
    assert found.remind_at == found.asked_at + timedelta(minutes=30)
    assert found.deadline_at == found.asked_at + timedelta(minutes=60)
