"""The list of a project's tasks, and a task, have an ETag: who has the present version gets a 304."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.models.project import Project
from common.models.task import Task
from common.services.paging import PageQuery
from common.services.runs import run_end
from common.services.tasks import board
from common.services.tasks.board import TaskFilter
from common.services.tasks.tasks import read_task
from common.states import Role, TaskState
from common.transaction import Transaction, transactional
from tests import builders
from tests.web.api.asking import Asking
from tests.web.made import a_project, a_question, a_task, set_state, somebody
from tests.web.world import World, events, put
from web.api.tasks import TaskDetailsSchema, TaskSchema

End = Callable[[], None]
"""Ends a run."""
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


@transactional
def lose(tx: Transaction, run_id: str) -> None:
    """As its agent's heartbeat does that names the run no more."""
    run_end.lose_runs(tx, [run_id], "its agent was restarted", restarted=[run_id])


def asked(asking: Asking) -> End:
    asking.ask()
    return lambda: asking.finish("waiting")


def lost_with_a_question(asking: Asking) -> End:
    asking.ask()
    return lambda: lose(asking.claimed["run"]["id"])


@pytest.mark.parametrize("begin", [asked, lost_with_a_question])
def test_a_run_that_ends_makes_another_version_though_its_agent_works_on_in_the_project(
    world: World, begin: Callable[[Asking], End]
) -> None:
    """A project is told nothing of an agent with several slots before the agent leaves the last of its tasks."""
    asking = Asking(world, slots=2)
    world.task(asking.project, "Another")
    world.claim(asking.agent)
    end = begin(asking)
    tag = listed(world.client, asking.project).headers["ETag"]
    told = len(events("task:updated", of=asking.task_id))

    end()

    reply = listed(world.client, asking.project, tag=tag)
    assert reply.status_code == 200
    (task,) = [one for one in reply.json["tasks"] if one["id"] == asking.task_id]
    phase = "queued" if task["state"] == "in_progress" else None
    assert (task["assignedAgentId"], task["phase"]) == (None, phase)
    assert len(events("task:updated", of=asking.task_id)) == told + 1


def test_what_somebody_wrote_is_a_version_of_their_own(member: FlaskClient, maintainer: FlaskClient) -> None:
    project = a_project()
    assert member.post("/api/tasks", json={"projectId": project.id, "title": "Mine"}).status_code == 201
    mine = listed(member, project, "&mine=true")

    theirs = listed(maintainer, project, "&mine=true", tag=mine.headers["ETag"])

    assert (mine.json["total"], theirs.json["total"]) == (1, 0)


def test_who_may_not_see_a_project_any_more_gets_no_304(admin: FlaskClient, member: FlaskClient) -> None:
    project = a_project()
    a_task(project)
    tag = listed(member, project).headers["ETag"]
    put(Project, project.id, is_restricted=True)

    reply = listed(member, project, tag=tag)

    assert (reply.status_code, reply.json["tasks"], reply.json["total"]) == (200, [], 0)
    assert listed(admin, project, tag=tag).status_code == 304


def test_who_is_logged_out_gets_no_304(admin: FlaskClient) -> None:
    project = a_project()
    builders.a_user("lou", Role.MEMBER)
    asked = {"username": "lou", "password": builders.PASSWORD}
    token = admin.application.test_client().post("/api/auth/login", json=asked).json["accessToken"]
    lou = builders.client_with(admin.application, token)
    tag = listed(lou, project).headers["ETag"]
    assert listed(lou, project, tag=tag).status_code == 304

    assert lou.post("/api/auth/logout").status_code == 204

    assert listed(lou, project, tag=tag).status_code == 401


def test_a_task_that_has_not_changed_is_not_sent_again(member: FlaskClient) -> None:
    task = a_task(a_project())
    first = member.get(f"/api/tasks/{task.id}")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert member.get(f"/api/tasks/{task.id}", headers=tag).status_code == 304

    a_question(task)

    changed = member.get(f"/api/tasks/{task.id}", headers=tag)
    assert (changed.status_code, len(changed.json["task"]["questions"])) == (200, 1)


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
