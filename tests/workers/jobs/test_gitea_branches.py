"""Branches that a person renames or makes at Gitea, in the way of the platform's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models import Project, Task
from common.models.task import TaskCheck
from common.services.tasks import tasks
from common.services.tasks.tasks import NewTask
from tests.providers.git_tree import git
from tests.workers.jobs.shop_on_gitea import Shop, shop_on_gitea
from tests.workers.platform import PAGE, Platform

pytestmark = pytest.mark.slow

REMEDY = "rename trunk back to main there, or make a branch main at the commit to build on"


@pytest.fixture
def shop(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with shop_on_gitea(platform, tmp_path, monkeypatch) as made:
        yield made


def _rename(shop: Shop, old: str, new: str) -> None:
    """As in Gitea's settings: the rule and the pull requests go along."""
    git("branch", "-m", old, new, at=shop.repo.path)
    shop.repo.fields["default_branch"] = new
    shop.repo.rules[new] = shop.repo.rules.pop(old)
    for pull in shop.repo.pulls.values():
        pull.update(base=new)


def _project(shop: Shop) -> Project:
    found: Project = shop.platform.get(Project, shop.project.id)
    return found


def test_finished_work_waits_for_a_renamed_default_branch(shop: Shop) -> None:
    """Its agent can't help it, and three refusals would bring it to a person."""
    platform = shop.platform
    platform.agent_id = platform.agent()
    made = tasks.create_task(NewTask(shop.project.id, "Wave"), by=platform.max)
    platform.run_jobs()
    claimed = platform.claim()
    branch = claimed.task.branch_name
    commit = shop.work.commit({"b": "b", **PAGE}, on=branch)
    # What the run's user pushes.
    git("fetch", "--quiet", str(shop.work.path), f"+{branch}:{branch}", at=shop.repo.path)
    _rename(shop, "main", "trunk")
    platform.finish(claimed, commit)
    platform.run_jobs(until=lambda: bool(_running(shop, made.id)))
    task = platform.get(Task, made.id)
    assert (task.state, task.phase, task.round) == ("in_progress", "verifying", 1)
    assert REMEDY in _running(shop, made.id)[0]

    _rename(shop, "trunk", "main")
    platform.run_jobs()
    assert platform.get(Task, made.id).state == "ready_to_test"


def _running(shop: Shop, task_id: str) -> list[str]:
    checks = shop.platform.all(TaskCheck, TaskCheck.task_id == task_id)
    return [check.message or "" for check in checks if check.status == "running"]
