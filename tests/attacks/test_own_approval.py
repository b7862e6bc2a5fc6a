"""Nobody approves their own work where the project wants another person: not by a push, an edit or the rule's end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.jobs import catalogue
from common.models import Push, Task
from common.providers.forge import local_forge
from common.services.changes import pushes
from common.services.changes.pushes import NewPush
from common.services.projects import projects
from common.services.tasks import tasks
from common.values.states import ProjectState, Role, TaskState
from tests import builders
from tests.e2e.instance import wait_until
from tests.providers.git_work_tree import WorkTree
from tests.web.factories import SHA, a_project, ready_task, set_state
from tests.web.git.test_smart_http import Shop, served_app
from tests.web.world import all_of, get, run_jobs
from tests.workers.platform import Platform


class People:
    """A project with the rule on; max wrote its task, moira is another maintainer, ada an administrator."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.users = {name: builders.a_user(name, role) for name, role in (
            ("max", Role.MAINTAINER), ("moira", Role.MAINTAINER), ("mona", Role.MAINTAINER), ("ada", Role.ADMIN)
        )}  # fmt: skip
        self.project = a_project(separate_approver=True)
        set_state(self.project, ProjectState.ACTIVE)
        self.task = ready_task(self.project, by=builders.caller_of(self.users["max"]))

    def client(self, name: str) -> FlaskClient:
        return builders.client_of(self.app, self.users[name])

    def approve(self, name: str) -> int:
        return self.client(name).post(f"/api/tasks/{self.task.id}/approve", json={}).status_code

    def rule(self, name: str, *, is_on: bool) -> int:
        body = {"separateApprover": is_on}
        return self.client(name).patch(f"/api/projects/{self.project.id}", json=body).status_code


@pytest.fixture
def people(app: Flask) -> People:
    return People(app)


def test_whoever_pushed_to_the_branch_does_not_approve(people: People) -> None:
    moved = NewPush(people.task.branch_name, None, SHA)
    pushes.note_pushes(people.project.id, [moved], by=builders.caller_of(people.users["moira"]))

    assert [people.approve(name) for name in ("max", "moira", "mona")] == [403, 403, 200]


def test_whoever_changed_what_the_task_asks_for_does_not_approve(people: People) -> None:
    path = f"/api/tasks/{people.task.id}"
    assert people.client("moira").patch(path, json={"description": "Do it as I say"}).status_code == 200
    assert people.client("mona").patch(path, json={"priority": "high", "title": people.task.title}).status_code == 200

    assert [people.approve(name) for name in ("moira", "mona")] == [403, 200]


def test_only_an_administrator_switches_the_rule_off_and_for_later_proofs_alone(people: People) -> None:
    set_state(people.task, TaskState.READY_TO_TEST, needs_other_approver=True)

    assert people.rule("max", is_on=False) == 403
    assert (
        people.client("max").patch(f"/api/projects/{people.project.id}", json={"description": "x"}).status_code == 200
    )
    assert people.rule("ada", is_on=False) == 200

    assert people.approve("max") == 403
    assert people.rule("max", is_on=True) == 200
    assert people.approve("moira") == 200


@pytest.mark.slow
def test_a_proof_takes_the_rule_of_its_time(plain_platform: Platform) -> None:
    """Proven with the rule on, it stays on for that commit; proven anew without it, it is gone."""
    ada = builders.caller_of(builders.a_user("ada", Role.ADMIN))
    project = plain_platform.project(separate_approver=True)
    task = plain_platform.ready(project, "Greet", {"a.txt": "x"})
    projects.update_project(project.id, {"separate_approver": False}, by=ada)
    assert plain_platform.get(Task, task.id).needs_other_approver
    tasks.reject_task(task.id, reason="Again", comments=(), by=plain_platform.max)
    plain_platform.work(task, {"a.txt": "y"})

    assert tasks.approve_task(task.id, by=plain_platform.max).state is TaskState.APPROVED


@pytest.fixture
def shop(plain_app: Flask) -> Iterator[tuple[Shop, People]]:
    with served_app(plain_app) as port:
        people = People(plain_app)
        yield Shop(port, people.project), people


@pytest.mark.slow
def test_a_push_over_http_is_the_pushers(shop: tuple[Shop, People], tmp_path: Path) -> None:
    at, people = shop
    task = people.task
    local_forge().ensure_branch(at.where, task.branch_name, at=at.head("main") or "")
    tree = WorkTree(tmp_path / "tree", at.url(builders.a_token(people.users["moira"])))
    pushed = tree.commit({"a.txt": "hers"}, on=task.branch_name, start=f"origin/{task.branch_name}")
    tree.push(task.branch_name, "HEAD:unrelated")
    # The end of a push is recorded after git has its answer.
    wait_until("the pushes to have ended", lambda: all(push.ended_at for push in all_of(Push)))
    set_state(task, TaskState.READY_TO_TEST, head_sha=pushed)
    run_jobs(catalogue.WATCH_REPOSITORY)

    timeline = people.client("mona").get(f"/api/tasks/{task.id}/events").json["events"]

    assert [(one["actor"], one["data"]["branch"]) for one in timeline if one["event"] == "branch:pushed"] == [
        ("moira", task.branch_name)
    ]
    assert get(Task, task.id).state is TaskState.READY_TO_TEST
    assert [people.approve(name) for name in ("moira", "mona")] == [403, 200]
