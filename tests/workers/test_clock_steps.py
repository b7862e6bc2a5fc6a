"""The database's clock is set back: nothing waits for the time that it showed before.

The rows are as the platform wrote them while the clock was ahead.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from common import jobs
from common.errors import Conflict
from common.models import (
    Agent,
    Deployment,
    HealthSpan,
    Job,
    Mark,
    Project,
    Question,
    Run,
    Task,
    TaskCheck,
    TaskGroup,
)
from common.services.health.sweep_age import sweep_age_seconds
from common.services.runs import runners
from common.services.runs.waiting import ready_agents
from common.services.tasks import tasks
from common.states import Environment, GroupState, Outcome
from common.transaction import Transaction, snapshot, transactional
from common.values.build_results import MergedStatuses
from tests.workers.jobs.agent_reviews import APPROVED, Reviewing
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


def test_a_clock_that_goes_on_brings_nothing_forward(platform: Platform) -> None:
    sweeps.sweep()
    late = waiting_job(600)
    sweeps.sweep()
    assert platform.get(Job, late).next_at > now() + timedelta(seconds=500)


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


@transactional
def listening_since(tx: Transaction, since: datetime) -> None:
    tx.get(Mark, "listening").value = {"since": since.isoformat()}


def test_a_start_while_the_clock_was_ahead_delays_no_loss(platform: Platform) -> None:
    platform.task(platform.project())
    platform.agent_id = platform.agent()
    platform.claim()
    sweeps.sweep_agents()
    listening_since(now() + STEP)
    sweeps.sweep_agents()

    kept = datetime.fromisoformat(str(platform.get(Mark, "listening").value["since"]))
    assert kept <= now()


def test_what_is_done_every_few_seconds_goes_on(platform: Platform) -> None:
    sweeps.sweep()
    sweeps.sweep_agents()
    restored = {row.id for row in platform.all(Job, Job.kind == jobs.RESTORE_RUNTIME.name)}
    platform.run_jobs()
    written_ahead(Mark.at)
    sweeps.sweep()
    assert {row.name for row in platform.all(Mark, Mark.at > now())} == set()

    platform_age(platform, "restore")
    sweeps.sweep_agents()

    assert {row.id for row in platform.all(Job, Job.kind == jobs.RESTORE_RUNTIME.name)} > restored


@transactional
def platform_age(tx: Transaction, _platform: Platform, name: str) -> None:
    """As if it had last been done some time ago."""
    tx.get(Mark, name).at = tx.now() - timedelta(minutes=1)


def test_a_sweep_that_stopped_is_seen(platform: Platform) -> None:
    sweeps.sweep()
    age = sweep_age_seconds()
    assert age is not None
    assert 0 <= age < 60
    written_ahead(Mark.at)
    age = sweep_age_seconds()
    assert age is not None
    assert age > 60


def test_a_hold_ends(platform: Platform) -> None:
    project = platform.project()
    sweeps.sweep()
    held(project.id)
    written_ahead(Mark.at, Project.held_until)

    sweeps.sweep()

    assert platform.get(Project, project.id).held_until <= now()


@transactional
def held(tx: Transaction, project_id: str) -> None:
    tx.lock(Project, project_id).held_until = tx.now() + timedelta(seconds=30)


def test_an_agent_whose_run_was_cut_short_before_gets_work(platform: Platform) -> None:
    platform.task(platform.project())
    platform.agent_id = platform.agent()
    claimed = platform.claim()
    runners.finish_run(
        claimed.run.id, outcome=Outcome.CANCELLED, commit_sha=None, summary="", reason="disk full", cut_short=True
    )

    def is_ready() -> bool:
        with snapshot() as read:
            return platform.agent_id in {agent.id for agent in ready_agents(read)}

    assert not is_ready()
    written_ahead(Run.finished_at)
    assert is_ready()


def test_the_next_round_is_proven(platform: Platform) -> None:
    project = platform.project()
    task = platform.task(project)
    platform.work(task, {"a.txt": "1\n"})
    assert platform.get(Task, task.id).state == "ready_to_test"
    tasks.reject_task(task.id, reason="Once more", comments=(), by=platform.max)
    written_ahead(Run.created_at)

    platform.work(task, {"a.txt": "2\n"})

    assert platform.get(Task, task.id).state == "ready_to_test"


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


def test_the_review_of_what_was_reported_before_is_done_once(platform: Platform) -> None:
    about = Reviewing(platform)
    sweeps.sweep()
    written_ahead(Mark.at, Run.created_at, Run.started_at, Run.finished_at)
    sweeps.sweep()
    claimed = about.claim()
    about.say(claimed, APPROVED)
    about.end(claimed)

    about.until(lambda: about.verdict != ("running", None) or len(about.reviews) > 1)

    assert [(run.id, run.verdict) for run in about.reviews] == [(claimed.run.id, "approve")]


def test_what_the_waits_of_a_proof_are_counted_from_is_not_ahead(platform: Platform) -> None:
    about = Reviewing(platform, has_reviewer=False)
    about.until(about.is_waiting)
    sweeps.sweep()
    written_ahead(Mark.at, Run.created_at, Run.started_at, Run.finished_at, TaskCheck.at)
    sweeps.sweep()

    assert platform.get(Run, about.work.run.id).finished_at <= now()
    assert max(check.at for check in platform.all(TaskCheck)) <= now()


@transactional
def waiting_for_statuses(tx: Transaction, group_id: str, since: datetime) -> None:
    group = tx.lock(TaskGroup, group_id)
    group.state_ = GroupState.MERGING
    seconds = since.timestamp()
    group.build = replace(group.build, since=seconds, statuses=MergedStatuses(seconds, says="CI runs"))


def test_a_group_waits_no_longer_for_missing_statuses(platform: Platform) -> None:
    project = platform.project()
    group = platform.group(platform.approved(project, "One", {"a.txt": "1\n"}))
    sweeps.sweep()
    waiting_for_statuses(group.id, now() + STEP)
    written_ahead(Mark.at)
    sweeps.sweep()

    build = platform.get(TaskGroup, group.id).build
    assert build.statuses is not None
    assert build.statuses.since <= now().timestamp()
    assert build.statuses.says == "CI runs"
    assert (build.since or 0) <= now().timestamp()


def test_the_health_of_an_environment_is_seen_on(platform: Platform) -> None:
    project = platform.project()
    platform.staged(platform.approved(project, "One", {"index.html": "<h1>one</h1>\n"}))
    sweeps.sweep()
    platform.restore()
    platform.run_jobs()
    written_ahead(Mark.at, HealthSpan.since, HealthSpan.until)
    sweeps.sweep()

    spans = platform.all(HealthSpan)
    assert spans
    assert max(span.until for span in spans) <= now()
    assert all(span.since <= span.until for span in spans)


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
