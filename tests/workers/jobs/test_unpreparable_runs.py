"""A run that can't be prepared keeps nobody from working: not its agent, not other projects."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import Agent, Project, Task
from common.providers.forge import local_forge
from common.services import sweeping
from common.services.agent_api import agent_api
from common.transaction import Transaction, transactional
from tests.providers.git_work_tree import git
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@transactional
def _end_hold(tx: Transaction, project_id: str) -> None:
    project = tx.lock(Project, project_id)
    assert project.held_until is not None
    project.held_until = tx.now()


def _place(platform: Platform, project: Project) -> Path:
    return local_forge().repository_path(platform.repository(project.id))


def _look(platform: Platform) -> None:
    """The agent is heard of, and the scheduler looks, as it does every few seconds."""
    agent_api.record_heartbeat(platform.agent_id, [])
    sweeping.enqueue_periodic_jobs()
    platform.run_jobs()


def test_a_broken_repository_keeps_no_agent_and_its_project_says_why(platform: Platform) -> None:
    platform.agent_id = platform.agent()
    broken, sound = platform.project(), platform.project()
    head = _place(platform, broken) / "HEAD"
    kept = head.read_text()
    head.unlink()
    waiting, other = platform.task(broken), platform.task(sound)

    for _ in range(4):
        _look(platform)
        claimed = agent_api.claim_run(platform.agent_id)
        if claimed is not None:
            assert claimed.task.id == other.id
            agent_api.record_heartbeat(platform.agent_id, [claimed.run.id])
            platform.finish(claimed, platform.push(claimed, {"index.html": "<h1>x</h1>\n"}))
            platform.run_jobs()
        _end_hold(broken.id)

    assert platform.get(Task, other.id).state == "ready_to_test"
    stuck, project = platform.get(Task, waiting.id), platform.get(Project, broken.id)
    assert (stuck.state, stuck.attempts, stuck.assigned_agent_id) == ("backlog", 0, None)
    assert "not a git repository" in stuck.error
    assert project.state == "active"
    assert project.error.startswith("no task can start: ")
    assert "not a git repository" in project.error
    assert platform.get(Agent, platform.agent_id).state == "idle"

    head.write_text(kept)
    _end_hold(broken.id)
    _look(platform)
    claimed = agent_api.claim_run(platform.agent_id)
    assert claimed is not None
    assert claimed.task.id == waiting.id
    assert platform.get(Project, broken.id).error is None
    assert platform.get(Task, waiting.id).error is None


def test_a_branch_that_can_not_be_made_is_the_tasks_own_trouble(platform: Platform) -> None:
    platform.agent_id = platform.agent()
    project = platform.project()
    task = platform.task(project, "One")
    git("branch", f"{task.branch_name}/beneath", "main", at=_place(platform, project))
    for _ in range(3):
        _look(platform)
    failed = platform.get(Task, task.id)
    assert failed.state == "failed"
    assert "conflicts with an existing ref" in failed.error
    assert platform.get(Project, project.id).error is None

    other = platform.task(project, "Two")
    _look(platform)
    claimed = agent_api.claim_run(platform.agent_id)
    assert claimed is not None
    assert claimed.task.id == other.id
