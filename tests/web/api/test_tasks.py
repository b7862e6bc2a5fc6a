"""Tasks over HTTP: what may be written into one, the acts that move it, and what others get to know of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models import EventRow, Job, Task
from common.models.project import Project
from common.providers.forge import local_forge
from common.values.names import task_branch
from common.values.repository import Repository
from common.values.states import Role, TaskState
from tests import builders
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import WorkTree
from tests.web.factories import MISSING_ID, SHA, a_live_run, a_project, a_task, ready_task, set_state
from tests.web.world import all_of

LISTED = {
    "id", "projectId", "title", "description", "state", "priority", "assignedAgentId", "branchName", "prNumber",
    "prUrl", "previewUrl", "createdAt", "phase", "round", "headSha", "labels", "rolledBackAt", "parked",
    "error",
}  # fmt: skip

WRONG: list[tuple[str, Any]] = [
    ("projectId", MISSING_ID), ("projectId", "../../etc"), ("title", "  "), ("title", "x" * 201), ("title", "a\u202eb"),
    ("description", "x" * 100_001), ("description", "a\0"), ("priority", "High"), ("labels", ["x" * 51]),
    ("requiredCapabilities", [None]), ("dependsOn", ["x"]), ("dependsOn", [MISSING_ID]), ("driver", "--help"),
    ("limits", []), ("limits", {"maxTokens": "5"}), ("limits", {"more": 1}),
]  # fmt: skip


@pytest.fixture
def plain_maintainer(plain_app: Flask) -> FlaskClient:
    return builders.client_of(plain_app, builders.a_user("max", Role.MAINTAINER))


def test_a_task_is_written_read_and_listed(member: FlaskClient) -> None:
    project = a_project("My Project")
    earlier = a_task(project, "Earlier")
    body = {
        "projectId": project.id, "title": "Implement feature X", "description": "Detailed…", "priority": "high",
        "labels": ["ui"], "requiredCapabilities": ["python"], "dependsOn": [earlier.id], "driver": "scripted",
        "limits": {"maxMinutes": 5},
    }  # fmt: skip

    made = member.post("/api/tasks", json=body)

    assert made.status_code == 201
    task = made.json["task"]
    assert {name: task[name] for name in body if name != "dependsOn"} == {
        name: value for name, value in body.items() if name != "dependsOn"
    }
    assert (task["state"], task["phase"], task["round"], task["prNumber"]) == ("backlog", None, 1, None)
    assert task["branchName"] == task_branch(task["id"], "Implement feature X")
    read = member.get(f"/api/tasks/{task['id']}").json["task"]
    assert {name: read[name] for name in task} == task
    assert read["project"] == {"id": project.id, "name": "My Project", "giteaRepoUrl": project.repository_url}
    assert read["dependsOn"] == [earlier.id]
    assert [read[name] for name in ("questions", "runs", "deployments", "checks", "comments")] == [[]] * 5
    listed = member.get("/api/tasks").json
    assert (listed["total"], listed["limit"], listed["offset"]) == (2, 50, 0)
    assert listed["tasks"][0] == {name: task[name] for name in LISTED}
    timeline = member.get(f"/api/tasks/{task['id']}/events").json
    assert [(event["event"], event["actor"]) for event in timeline["events"]] == [("task:created", "mia")]


def test_a_wrong_field_is_named(plain_member: FlaskClient) -> None:
    project = a_project()

    for name, value in WRONG:
        reply = plain_member.post("/api/tasks", json={"projectId": project.id, "title": "Good", name: value})
        assert reply.status_code == 400, (value, reply.json)
        assert reply.json["details"]["field"].split(".")[0] == name
    assert plain_member.get("/api/tasks").json["total"] == 0


def test_a_state_is_changed_by_the_act_that_leads_there(maintainer: FlaskClient) -> None:
    project = a_project()
    approved, rejected, unexplained, cancelled, failed = [ready_task(project) for _ in range(5)]
    set_state(failed, TaskState.FAILED)

    def patch(task: Any, **body: Any) -> Any:
        return maintainer.patch(f"/api/tasks/{task.id}", json=body).json["task"]["state"]

    assert patch(approved, state="approved", notes="Looks good!") == "approved"
    assert maintainer.get(f"/api/tasks/{approved.id}").json["task"]["approvedSha"] == SHA
    assert patch(rejected, state="in_progress", notes="Needs tests") == "in_progress"
    assert maintainer.get(f"/api/tasks/{rejected.id}").json["task"]["comments"][0]["body"] == "Needs tests"
    assert patch(unexplained, state="in_progress", notes=" \n") == "in_progress"
    assert maintainer.get(f"/api/tasks/{unexplained.id}").json["task"]["comments"][0]["body"] == "Rejected"
    assert patch(cancelled, state="cancelled") == "cancelled"
    assert patch(failed, state="backlog") == "backlog"


@pytest.mark.parametrize("present", TaskState)
def test_what_no_person_may_do_is_a_conflict_that_names_the_present_state(
    plain_maintainer: FlaskClient, present: TaskState
) -> None:
    task = a_task(a_project())
    set_state(task, present, phase_="working" if present is TaskState.IN_PROGRESS else None, head_sha=SHA)
    may = {present}
    if present is TaskState.READY_TO_TEST:
        may |= {TaskState.APPROVED, TaskState.IN_PROGRESS}
    if present is TaskState.FAILED:
        may.add(TaskState.BACKLOG)
    if present in {TaskState.BACKLOG, TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT, TaskState.READY_TO_TEST,
                   TaskState.APPROVED}:  # fmt: skip
        may.add(TaskState.CANCELLED)

    for wanted in set(TaskState) - may:
        reply = plain_maintainer.patch(f"/api/tasks/{task.id}", json={"state": str(wanted)})
        assert (reply.status_code, reply.json["error"]) == (409, "Conflict"), wanted
        assert reply.json["details"]["field"] == "state"
        assert f" is {present}" in reply.json["details"]["message"]
    assert plain_maintainer.get(f"/api/tasks/{task.id}").json["task"]["state"] == present


def test_an_approval_holds_for_the_commit_that_was_looked_at(maintainer: FlaskClient) -> None:
    task = ready_task(a_project())
    path = f"/api/tasks/{task.id}/approve"

    assert maintainer.post(path, json={"commitSha": "short"}).status_code == 400
    moved = maintainer.post(path, json={"commitSha": "b" * 40})
    good = maintainer.post(path, json={"commitSha": SHA})
    again = maintainer.post(path)

    assert (moved.status_code, moved.json["details"]["field"]) == (409, "commitSha")
    assert (good.json["task"]["state"], good.json["task"]["approvedSha"]) == ("approved", SHA)
    assert (again.status_code, " is approved" in again.json["details"]["message"]) == (409, True)


ACTS: list[tuple[str, str, Any, Role]] = [
    ("GET", "", None, Role.VIEWER),
    ("GET", "/diff", None, Role.VIEWER),
    ("GET", "/events", None, Role.VIEWER),
    ("PATCH", "", {"notes": "x"}, Role.MEMBER),
    ("POST", "/comments", {"body": "x"}, Role.MEMBER),
    ("POST", "/respond", {"questionId": f"q-{MISSING_ID}", "response": "x"}, Role.MEMBER),
    ("POST", "/retry", None, Role.MEMBER),
    ("POST", "/approve", None, Role.MAINTAINER),
    ("POST", "/reject", {"reason": "x"}, Role.MAINTAINER),
    ("POST", "/cancel", None, Role.MEMBER),
]


def test_a_task_of_a_foreign_project_does_not_exist(app: Flask) -> None:
    task = a_task(a_project(is_restricted=True))
    run = a_live_run(task)
    stranger = builders.client_of(app, builders.a_user("sam", Role.MAINTAINER))

    for method, tail, body, _role in ACTS:
        foreign = stranger.open(f"/api/tasks/{task.id}{tail}", method=method, json=body)
        missing = stranger.open(f"/api/tasks/{MISSING_ID}{tail}", method=method, json=body)
        assert (foreign.status_code, foreign.data) == (404, b'{"error":"Resource not found"}'), tail
        assert (missing.status_code, missing.data) == (foreign.status_code, foreign.data)
    for tail in ("", "/transcript"):
        assert stranger.get(f"/api/runs/{run.id}{tail}").data == stranger.get(f"/api/runs/{MISSING_ID}{tail}").data
    assert stranger.get("/api/tasks").json["total"] == 0
    body = {"projectId": task.project_id, "title": "x"}
    there, nowhere = (
        stranger.post("/api/tasks", json={**body, "projectId": at}) for at in (task.project_id, MISSING_ID)
    )
    assert (there.status_code, there.data) == (nowhere.status_code, nowhere.data)


def test_a_run_is_read_with_what_its_agent_wrote(member: FlaskClient) -> None:
    task = a_task(a_project())
    run = a_live_run(task)

    read = member.get(f"/api/runs/{run.id}").json["run"]

    assert (read["taskId"], read["state"], read["outcome"], read["usage"]) == (task.id, "running", None, {})
    assert member.get(f"/api/runs/{run.id}/transcript").json == {"entries": [], "next": 0, "live": True}
    assert member.get(f"/api/runs/{run.id}/transcript?after=x").status_code == 400
    assert member.get(f"/api/tasks/{task.id}").json["task"]["runs"] == [read]


def _updates() -> list[list[str]]:
    return [json.loads(row.data)["data"]["changed"] for row in all_of(EventRow, EventRow.name == "task:updated")]


def test_who_does_a_task_can_be_changed(member: FlaskClient) -> None:
    task = a_task(a_project())
    changes = {"driver": "codex", "model": "small", "requiredCapabilities": ["node"]}

    reply = member.patch(f"/api/tasks/{task.id}", json=changes)

    assert {name: reply.json["task"][name] for name in changes} == changes
    assert [sorted(one) for one in _updates()] == [["driver", "model", "requiredCapabilities"]]
    assert len(all_of(Job, Job.kind == "task.schedule")) == 1
    reply = member.patch(f"/api/tasks/{task.id}", json={"driver": None, "model": None})
    assert (reply.json["task"]["driver"], reply.json["task"]["model"]) == (None, None)
    for wrong in ({"driver": "nobody"}, {"model": "a\nb"}, {"requiredCapabilities": None}, {"dependsOn": None}):
        reply = member.patch(f"/api/tasks/{task.id}", json=wrong)
        assert (reply.status_code, reply.json["details"]["field"]) == (400, next(iter(wrong)))


def test_what_a_task_depends_on_can_be_changed(member: FlaskClient) -> None:
    project = a_project()
    first, second, third, task = [a_task(project) for _ in range(4)]

    def depend(one: Task, *others: Task) -> Any:
        return member.patch(f"/api/tasks/{one.id}", json={"dependsOn": [other.id for other in others]})

    def needed(one: Task) -> list[str]:
        return sorted(member.get(f"/api/tasks/{one.id}").json["task"]["dependsOn"])

    assert depend(first, second, second, third).status_code == 200
    assert needed(first) == sorted([second.id, third.id])
    # Also on one that was written later.
    assert depend(second, task).status_code == 200
    assert depend(first, second).status_code == 200
    assert needed(first) == [second.id]
    assert _updates() == [["dependsOn"]] * 3
    assert depend(first, second).status_code == 200
    assert len(_updates()) == 3

    refused = [depend(task, task), depend(task, first), depend(task, third, second)]
    assert [(reply.status_code, reply.json["details"]["field"]) for reply in refused] == [(400, "dependsOn")] * 3
    assert "so neither would ever start" in refused[1].json["details"]["message"]
    assert needed(task) == []
    elsewhere = a_task(a_project("Blog"))
    assert depend(task, elsewhere).json["details"]["message"] == f"There is no task {elsewhere.id} in this project"
    assert depend(first).status_code == 200
    assert needed(first) == []


def test_of_two_changes_at_once_only_one_completes_a_circle(app: Flask, member: FlaskClient) -> None:
    project = a_project()
    first, second = a_task(project), a_task(project)
    clients = [builders.client_of(app, builders.a_user(name)) for name in ("ann", "ben")]
    start = threading.Barrier(2)

    def depend(number: int) -> int:
        one, other = (first, second) if number else (second, first)
        start.wait(LONG_WAIT_SECONDS)
        return clients[number].patch(f"/api/tasks/{one.id}", json={"dependsOn": [other.id]}).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(depend, range(2)))

    assert statuses == [200, 400]


@pytest.fixture
def forge_of_app(plain_app: Flask) -> Iterator[None]:
    """The local forge, on this test's data."""
    local_forge.cache_clear()
    yield
    local_forge.cache_clear()


def _repository(project: Project) -> Path:
    where = Repository(project.repository_owner, project.slug, project.id)
    local_forge().ensure_repository(where, default_branch="main", description="", import_url=None)
    return local_forge().repository_path(where)


@pytest.mark.usefixtures("forge_of_app")
def test_a_diff_is_what_the_branch_changes(plain_member: FlaskClient, tmp_path: Path) -> None:
    project = a_project()
    task = a_task(project)
    path = f"/api/tasks/{task.id}/diff"
    nothing = {"baseSha": None, "headSha": None, "files": [], "patch": "", "truncated": False}
    assert plain_member.get(path).json == nothing
    tree = WorkTree(tmp_path / "tree", str(_repository(project)))
    assert plain_member.get(path).json == nothing
    base = tree.commit({"a.txt": "one\n"}, on="main")
    first = tree.commit({"a.txt": "two\n", "b.txt": "new\n"}, on=task.branch_name)
    tree.push("main", task.branch_name)

    diff = plain_member.get(path).json

    assert (diff["baseSha"], diff["headSha"], diff["truncated"]) == (base, first, False)
    assert [(file["path"], file["status"], file["additions"]) for file in diff["files"]] == [
        ("a.txt", "modified", 1), ("b.txt", "added", 1)
    ]  # fmt: skip
    assert "+two\n" in diff["patch"]
    tree.commit({"c.txt": "later\n"}, on=task.branch_name)
    tree.push(task.branch_name)
    set_state(task, TaskState.READY_TO_TEST, head_sha=first)
    assert plain_member.get(path).json["headSha"] == first
