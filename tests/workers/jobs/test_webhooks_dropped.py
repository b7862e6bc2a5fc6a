"""A webhook is only a doorbell: with all of them lost, everything ends as it does with each delivered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from common.models import Deployment, Project, Task, TaskGroup
from common.models.task import Comment
from common.services.projects import projects
from common.services.tasks import tasks, watching
from common.transaction import snapshot
from tests.app_server import served
from tests.doubles.gitea import bell
from tests.doubles.gitea.pulls import add_review, change_pull
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from tests.providers.git_tree import git
from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.platform import Platform
from web.app import create_app

pytestmark = pytest.mark.slow

_IDS = re.compile(r"\b[0-9a-f]{8,40}\b")


class People:
    """What people do at the forge, and how the platform comes to know: by its doorbell, or by looking now and then."""

    def __init__(self, platform: Elsewhere, project: Project) -> None:
        self._platform = platform
        self._project = project
        self._server, self._repo = platform.server, platform.repo(project)
        self._ada = self._server.person("ada", writes=(project.repository_owner, project.slug))

    def push(self, task: Task, files: dict[str, str | None]) -> None:
        tree = self._platform.clone(self._project, login="ada")
        tree.commit(files, on=task.branch_name, start=f"origin/{task.branch_name}")
        tree.push(task.branch_name)
        self._come_to_know()

    def comment(self, task: Task, body: str) -> None:
        assert task.pr_number is not None
        self._server.comment(self._ada, self._repo, task.pr_number, body)
        self._come_to_know()

    def ask_for_changes(self, task: Task, body: str, *, path: str, line: int) -> None:
        assert task.pr_number is not None
        remark = {"path": path, "position": line, "body": body}
        add_review(
            self._server.as_person(self._ada), self._repo, task.pr_number, state="REQUEST_CHANGES", body="Not yet",
            remarks=[remark],
        )  # fmt: skip
        self._come_to_know()

    def close(self, task: Task) -> None:
        change_pull(self._server.as_person(self._ada, {"state": "closed"}), self._repo, str(task.pr_number))
        self._come_to_know()

    def _come_to_know(self) -> None:
        if self._server.bell is not None:
            self._server.bell.wait()
            assert {status for _event, status in self._server.bell.rung} == {204}
        else:
            watching.watch_all()
        self._platform.run_jobs()


def tell(platform: Elsewhere) -> Project:
    """A delivery in which people take part at the forge."""
    project = platform.project(name="Shop")
    people = People(platform, project)

    pushed = platform.approved(project, "Pushed to", {"index.html": "<h1>one</h1>\n"})
    people.push(pushed, {"index.html": "<h1>two</h1>\n"})
    assert platform.get(Task, pushed.id).state == "in_progress"
    platform.work(pushed, {"index.html": "<h1>three</h1>\n"})
    tasks.approve_task(pushed.id, by=platform.max)

    discussed = platform.ready(project, "Discussed", {"other.html": "<h1>other</h1>\n"})
    people.comment(discussed, "Nice so far")
    assert platform.get(Task, discussed.id).state == "ready_to_test"
    people.ask_for_changes(discussed, "Louder", path="other.html", line=1)
    assert platform.get(Task, discussed.id).state == "in_progress"
    claimed = platform.claim()
    assert {"Nice so far", "Not yet", "Louder"} <= {one.body for one in claimed.feedback}
    platform.finish(claimed, platform.push(claimed, {"other.html": "<h1>OTHER</h1>\n"}))
    platform.run_jobs()
    tasks.approve_task(discussed.id, by=platform.max)

    unwanted = platform.ready(project, "Unwanted", {"third.html": "<h1>third</h1>\n"})
    people.close(unwanted)
    assert platform.get(Task, unwanted.id).state == "cancelled"

    group = platform.to_production(platform.staged(platform.get(Task, pushed.id), platform.get(Task, discussed.id)))
    assert group.state == "production"
    return project


def final_state(platform: Elsewhere, project: Project) -> dict[str, Any]:
    """Everything that is left, but for ids and times."""
    titles = {task.id: task.title for task in platform.all(Task)}
    with snapshot() as read:
        remarks = read.all(select(Comment).order_by(Comment.created_at, Comment.body))
        said = [(titles[one.task_id], one.kind, one.author, _nameless(one.body), one.path, one.line) for one in remarks]
    repo = platform.repo(project)
    # What receipts say has ids and times in it.
    trees = {
        ref: "…" if ref.startswith("refs/notes/") else git("rev-parse", f"{ref}^{{tree}}", at=repo.path)
        for ref in repo.refs()
    }
    left: dict[str, Any] = {
        "tasks": {
            one.title: (one.state, one.phase, one.round, one.refusals, one.pr_number, one.error, one.preview_url)
            for one in platform.all(Task)
        },
        "said": said,
        "groups": [(one.state, one.error) for one in platform.all(TaskGroup)],
        "deployments": sorted(
            (one.environment_, one.state, titles.get(one.task_id, ""), one.live_key is not None)
            for one in platform.all(Deployment)
        ),
        "refs": {_nameless(ref): trees[ref] for ref in repo.refs()},
        "pulls": {number: (pull["title"], pull["state"], pull["merged"]) for number, pull in repo.pulls.items()},
        "rules": sorted(map(_nameless, repo.rules)),
        "statuses": sorted((one["context"], one["status"]) for one in repo.statuses),
        "users": sorted(platform.server.model.users),
        "cluster": {kind: platform.cluster.names(kind) for kind in ("deployments", "ingresses", "jobs")},
    }
    return left


def _nameless(text: str) -> str:
    """Without ids and SHAs."""
    return _IDS.sub("…", text)


def test_the_end_is_the_same_with_every_webhook_lost(
    plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with elsewhere(plain_remote_platform, monkeypatch, folder=tmp_path / "dropped") as platform:
        project = tell(platform)
        dropped = final_state(platform, project)
        projects.delete_project(project.id, by=platform.max)
        platform.run_jobs()

    # However long this machine takes to answer: each is delivered.
    monkeypatch.setattr(bell, "SECONDS", PATIENCE_SECONDS)
    port = free_port()
    address = f"http://127.0.0.1:{port}/api/webhooks/gitea"
    with (
        elsewhere(
            plain_remote_platform, monkeypatch, folder=tmp_path / "rung", rings=True, AIWORKER_WEBHOOK_URL=address
        ) as platform,
        served(create_app(), port),
    ):
        project = tell(platform)
        assert platform.server.bell is not None
        platform.server.bell.wait()
        platform.run_jobs()
        rung = final_state(platform, project)
        heard = {event for event, _status in platform.server.bell.rung}

    assert heard == {"push", "pull_request", "issue_comment", "pull_request_rejected", "status"}
    assert dropped == rung
    assert dropped["tasks"]["Unwanted"][0] == "cancelled"
    assert dropped["said"] != []
