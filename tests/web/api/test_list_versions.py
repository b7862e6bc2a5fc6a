"""The list of a project's tasks, and a task, have an ETag: who has the present version gets a 304."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.models.project import Project
from common.models.task import Task
from common.services.requests.paging import PageQuery
from common.services.tasks import board
from common.services.tasks.board import TaskFilter
from common.services.tasks.tasks import read_task
from common.values.states import TaskState
from tests.web.factories import a_project, a_task, set_state, somebody
from tests.web.world import put
from web.api.tasks import TaskDetailsSchema, TaskSchema

SOME_TIME = datetime(2031, 1, 2, tzinfo=UTC)


def listed(client: FlaskClient, project: Project, query: str = "", tag: str | None = None) -> Any:
    headers = {} if tag is None else {"If-None-Match": tag}
    return client.get(f"/api/tasks?projectId={project.id}{query}", headers=headers)


def test_every_change_makes_another_version(member: FlaskClient, maintainer: FlaskClient) -> None:
    project = a_project()
    task = a_task(project)
    tags = [listed(member, project).headers["ETag"]]

    for change in ({"title": "Another"}, {"priority": "urgent"}, {"labels": ["one"]}, {"state": "cancelled"}):
        assert maintainer.patch(f"/api/tasks/{task.id}", json=change).status_code == 200
        reply = listed(member, project, tag=tags[-1])
        assert reply.status_code == 200
        tags.append(reply.headers["ETag"])

    assert len(set(tags)) == len(tags)
    assert reply.json["tasks"][0]["state"] == "cancelled"


@pytest.mark.parametrize(
    "values",
    [
        {"notes": None},
        {"phase_": "parked", "parked_code": "cap", "parked_reason": "Spent", "parked_until": SOME_TIME},
        {"state_": "backlog", "phase_": None, "parked_code": "files", "parked_reason": "Some are missing"},
        {"labels": ["é \u2028 \"x\"", "two"], "caps": {"runs": 3}, "limits": {"maxMinutes": 1.5}},
        {"error": "it broke", "head_sha": "b" * 40, "pr_number": 4, "rolled_back_at": SOME_TIME},
        {"priority": 3, "assigned_agent_id": "agent-0123456789ab", "notes": "n", "model": "m", "driver": "claude"},
    ],
)  # fmt: skip
def test_rows_are_written_as_the_schemas_write_entities(admin: FlaskClient, values: dict[str, Any]) -> None:
    project = a_project()
    task = a_task(project, description="Zwölf\nBoxkämpfer", required_capabilities=["gpu"])
    set_state(task, TaskState.IN_PROGRESS if "phase_" in values else TaskState.FAILED)
    put(Task, task.id, **values)

    by_list = listed(admin, project).data
    by_details = admin.get(f"/api/tasks/{task.id}").data

    by = somebody()
    page = board.list_tasks(TaskFilter(project_id=project.id), PageQuery(), by=by)
    whole = {
        "tasks": [TaskSchema().dump(one) for one in page.items], "total": 1, "limit": 50, "offset": 0,
        "nextCursor": None,
    }  # fmt: skip
    assert _ordered(by_list) == _ordered(json.dumps(whole).encode())
    details = {"task": TaskDetailsSchema().dump(read_task(task.id, by=by))}
    assert json.loads(by_details) == json.loads(json.dumps(details))


def _ordered(content: bytes) -> Any:
    """The JSON with the order of its keys."""
    return json.loads(content, object_pairs_hook=list)


@pytest.mark.parametrize("path", ["projects", "board", "openapi.json"])
def test_what_has_not_changed_is_not_sent_again(admin: FlaskClient, path: str) -> None:
    project = a_project()
    a_task(project)
    query = f"?projectId={project.id}" if path == "board" else ""
    first = admin.get(f"/api/{path}{query}")
    assert first.status_code == 200

    again = admin.get(f"/api/{path}{query}", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == "no-store"


def test_what_has_changed_is_sent_with_another_tag(admin: FlaskClient) -> None:
    project = a_project()
    path = f"/api/projects/{project.id}"
    tag = admin.get(path).headers["ETag"]
    assert admin.patch(path, json={"description": "Another"}).status_code == 200

    again = admin.get(path, headers={"If-None-Match": tag})

    assert again.status_code == 200
    assert again.json["project"]["description"] == "Another"
    assert again.headers["ETag"] != tag
