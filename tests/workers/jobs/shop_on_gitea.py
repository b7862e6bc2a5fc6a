"""A project on a Gitea double with one task that is ready to test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from common.models import Project, Task, TaskGroup
from common.models.task import Comment
from common.providers.forge import forge, gitea_forge
from common.services import forge_webhooks
from common.services.projects import projects
from common.services.tasks import forge_changes, tasks
from common.services.tasks.tasks import NewTask
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from common.values.states import TaskState
from tests.doubles.gitea import GiteaDouble, basic
from tests.doubles.gitea.model import Repo
from tests.providers.git_work_tree import WorkTree
from tests.workers.platform import PAGE, Platform

PULL = 1


class Shop:
    """A project on Gitea with one task that is ready to test: proven, with a pull request."""

    def __init__(self, platform: Platform, server: GiteaDouble, folder: Path) -> None:
        self.platform, self.server = platform, server
        made = projects.create_project({"name": "Shop", "health_seconds": {"staging": 0}}, by=platform.max).project
        platform.run_jobs()
        self.project = platform.get(Project, made.id)
        assert self.project.state == "active", self.project.error
        self.repo: Repo = server.repo("aiworker", "shop")
        self.ada = server.person("ada", writes=("aiworker", "shop"))
        self.where = platform.repository(self.project.id)
        self.work = WorkTree(folder / "work", basic(forge().read_clone_url(self.where), "ada", "ada-password"))
        self.task_id = tasks.create_task(NewTask(self.project.id, "Greet"), by=platform.max).id
        self.head = self.push("a")
        branch = self.task.branch_name
        forge().ensure_pull_request(self.where, head=branch, base="main", title="Greet", body="")
        prove(self.task_id, self.head)

    @property
    def task(self) -> Task:
        found: Task = self.platform.get(Task, self.task_id)
        return found

    def push(self, text: str) -> str:
        commit = self.work.commit({"a": text, **PAGE}, on=self.task.branch_name)
        self.work.push(self.task.branch_name)
        return commit

    def merged_group(self) -> TaskGroup:
        """A group of the task alone, approved, that is merged."""
        tasks.approve_task(self.task_id, by=self.platform.max)
        group = self.platform.group(self.task)
        self.platform.run_jobs()
        found: TaskGroup = self.platform.get(TaskGroup, group.id)
        assert found.state == "merged", (found.state, found.error)
        return found

    def look(self, heard: str) -> None:
        """As after a webhook of the server's, or by the sweep that comes anyhow."""
        if heard == "webhook":
            assert forge_webhooks.read_repository_soon("aiworker", "shop")
            self.platform.run_jobs()
        else:
            self.poll()

    def poll(self) -> None:
        """What the sweep does now and then, and the one job that it asks for."""
        forge_changes.watch_all()
        self.platform.run_jobs()

    def remarks(self) -> list[tuple[str, str, str, str | None]]:
        with snapshot() as read:
            rows = read.all(select(Comment).where(Comment.task_id == self.task_id).order_by(Comment.created_at))
            return [(row.kind, row.author, row.body, row.path) for row in rows]


@transactional
def prove(tx: Transaction, task_id: str, head: str) -> None:
    task = tx.lock(Task, task_id)
    task.state_, task.head_sha, task.pr_number = str(TaskState.READY_TO_TEST), head, PULL


@contextmanager
def shop_on_gitea(platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    server = GiteaDouble(folder)
    for name, value in {"AIWORKER_FORGE": "gitea", "GITEA_URL": server.url, "GITEA_TOKEN": server.token}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    gitea_forge.cache_clear()
    yield Shop(platform, server, folder)
    gitea_forge().close()
    gitea_forge.cache_clear()
    server.close()
    assert server.violations == []
