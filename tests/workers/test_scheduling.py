"""The scheduler assigns many tasks at once, and looks at each row again before it writes."""

from __future__ import annotations

import functools
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import update

from common.errors import LeaseLost
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models import Agent, Job, Project, Run, Task
from common.services.agents.assigning import PlannedAssignment, assign
from common.services.agents.scheduling import assign_next, schedule_tasks
from common.services.projects import projects
from common.services.tasks.tasks import update_task
from common.transaction import Transaction, transactional
from common.values.states import ProjectState
from tests.web.factories import a_project, a_task
from tests.web.world import at_once
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@transactional
def _activate(tx: Transaction, project_id: str, **values: object) -> None:
    tx.session.execute(update(Project).where(Project.id == project_id).values(state_=ProjectState.ACTIVE, **values))


def _project(name: str = "Shop", **values: object) -> Project:
    made = a_project(name)
    _activate(made.id, **values)
    return made


@transactional
def _claimed(tx: Transaction) -> Lease:
    lease = tx.queue.claim(tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None))
    assert lease is not None
    return lease


def _tasks(project: Project, count: int) -> list[Task]:
    return [a_task(project, f"Task {number}", driver="scripted") for number in range(count)]


def test_every_task_of_several_batches_gets_one_run_of_an_agent_of_its_own(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.services.agents.scheduling.BATCH", 4)
    project = _project()
    tasks = _tasks(project, 10)
    agents = {platform.agent() for _ in range(10)}

    assert schedule_tasks(_claimed()) == 10

    runs = platform.all(Run)
    assert {run.task_id for run in runs} == {task.id for task in tasks}
    assert {run.agent_id for run in runs} == agents
    assert {(agent.state, agent.current_task_id) for agent in platform.all(Agent)} == {
        ("busy", run.task_id) for run in runs
    }
    assert {(task.state, task.phase) for task in platform.all(Task)} == {("in_progress", "working")}
    assert {(job.kind, job.subject_id) for job in platform.all(Job, Job.state_ == "queued")} >= {
        ("run.prepare", run.id) for run in runs
    }
    assert Counter(platform.events(project)) >= Counter({"task:status_changed": 10, "agent:status": 10})


def _pair(task: Task, agent_id: str) -> PlannedAssignment:
    own = task.driver, task.model, task.required_capabilities
    return PlannedAssignment(task.id, task.project_id, agent_id, "scripted", None, own, has_caps=False)


@transactional
def _assign(tx: Transaction, *pairs: PlannedAssignment) -> tuple[int, int]:
    made = assign(tx, pairs)
    return made.runs, made.left_out


def test_a_choice_that_does_not_hold_any_more_is_left_out(platform: Platform) -> None:
    """As if two schedulers had chosen at the same time."""
    project = _project()
    tasks = _tasks(project, 3)
    agents = [platform.agent() for _ in range(3)]
    assert _assign(_pair(tasks[0], agents[0])) == (1, 0)

    assert _assign(_pair(tasks[0], agents[1]), _pair(tasks[1], agents[0])) == (0, 2)
    changed = PlannedAssignment(
        tasks[1].id, project.id, agents[1], "scripted", None, ("claude", None, []), has_caps=False
    )
    assert _assign(changed, _pair(tasks[2], agents[2])) == (1, 1)
    assert len(platform.all(Run)) == 2


def test_what_a_person_changes_after_the_choice_counts(platform: Platform) -> None:
    project = _project()
    tasks = _tasks(project, 3)
    pairs = [_pair(task, platform.agent()) for task in tasks]
    update_task(tasks[0].id, {"required_capabilities": ["gpu"]}, by=platform.max)
    update_task(tasks[1].id, {"depends_on": [tasks[2].id]}, by=platform.max)

    assert _assign(*pairs) == (1, 2)
    assert [run.task_id for run in platform.all(Run)] == [tasks[2].id]


def test_a_limit_of_the_project_holds_for_choices_of_two_schedulers(platform: Platform) -> None:
    project = _project(max_parallel_tasks=2)
    tasks = _tasks(project, 4)
    agents = [platform.agent() for _ in range(4)]
    pairs = [_pair(task, agent_id) for task, agent_id in zip(tasks, agents, strict=True)]

    assert _assign(*pairs[:1]) == (1, 0)
    assert _assign(*pairs[1:]) == (1, 2)


def test_a_project_that_is_being_deleted_gets_no_run(platform: Platform) -> None:
    """As if it was deleted after the scheduler had chosen."""
    project = _project()
    (task,) = _tasks(project, 1)
    projects.delete_project(project.id, by=platform.max)

    assert _assign(_pair(task, platform.agent())) == (0, 1)


def test_agents_that_ask_at_once_get_no_run_beyond_a_cap_of_runs(platform: Platform) -> None:
    project = _project(caps={"total": {"runs": 2}})
    for number in range(8):
        a_task(project, driver="scripted", required_capabilities=[f"only-{number}"])
    agents = [platform.agent(capabilities=[f"only-{number}"]) for number in range(8)]

    at_once(*(functools.partial(assign_next, agent_id) for agent_id in agents))

    assert len(platform.all(Run)) == 2


def test_a_scheduler_that_has_lost_its_lease_writes_nothing(platform: Platform) -> None:
    _tasks(_project(), 1)
    platform.agent()
    lease = _claimed()
    _expire(lease.job_id)
    assert _reclaimed(lease.job_id).fence == lease.fence + 1

    with pytest.raises(LeaseLost):
        schedule_tasks(lease)
    assert platform.all(Run) == []


@transactional
def _expire(tx: Transaction, job_id: str) -> None:
    tx.lock(Job, job_id).lease_until = tx.now() - timedelta(seconds=1)


@transactional
def _reclaimed(tx: Transaction, job_id: str) -> Lease:
    lease = tx.queue.claim(job_id)
    assert lease is not None
    return lease
