"""Who does a task, and after which others: changed after it was written."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from common.models import EventRow, Job, Task
from tests import builders
from tests.patience import PATIENCE_SECONDS
from tests.web.made import a_project, a_task
from tests.web.world import all_of


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
        start.wait(PATIENCE_SECONDS)
        return clients[number].patch(f"/api/tasks/{one.id}", json={"dependsOn": [other.id]}).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(depend, range(2)))

    assert statuses == [200, 400]
