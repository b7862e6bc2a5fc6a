"""What waits for a person: who is shown what, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from common.models import Project, Task, TaskGroup
from common.models.project import ProjectMember
from common.transaction import Transaction, transactional
from common.values.states import Role
from tests import builders
from tests.web.factories import a_question
from tests.web.world import World, put


@pytest.fixture
def waiting(plain_app: Flask) -> World:
    return _waiting(plain_app)


def _waiting(app: Flask) -> World:
    """One of each kind, and as much that waits for nobody."""
    world = World(app)
    project = world.project()
    for state in ("backlog", "in_progress", "approved", "cancelled"):
        world.task(project, f"Still {state}", state=state)
    parked = world.task(project, "Too dear", state="in_progress")
    put(Task, parked.id, phase_="parked", parked_code="cap", parked_reason="5 of 5 dollars are used")
    put(Task, world.task(project, "Given up", state="failed").id, error="no driver knows prose")
    world.task(project, "Look at me", state="ready_to_test")
    put(TaskGroup, world.group(project, world.approved(project, "A"), name="Red")["id"], state_="failed", error="red")
    for target in ("staging", "production"):
        made = world.group(project, world.approved(project, target), name=f"To {target}", targetBranch=target)
        put(TaskGroup, made["id"], state_="staging")
    a_question(world.task(project, "Ask"), "Which language?")
    return world


def _inbox(world: World, name: str = "maxim", **query: Any) -> list[tuple[str, str]]:
    reply = builders.client_of(world.app, world.users[name]).get("/api/inbox", query_string=query).json
    assert (reply["total"], reply["isCut"]) == (len(reply["items"]), False)
    return [(item["kind"], item["title"]) for item in reply["items"]]


ALL = [
    ("question", "Ask"), ("release", "Red"), ("release", "To production"), ("review", "Look at me"),
    ("failed", "Given up"), ("parked", "Too dear"),
]  # fmt: skip


def test_everything_that_waits_is_listed_with_what_it_waits_for(app: Flask) -> None:
    items = _waiting(app).client.get("/api/inbox").json["items"]

    assert [(item["kind"], item["title"]) for item in items] == ALL
    assert [item["detail"] for item in items] == [
        "Which language?", "red", None, None, "no driver knows prose", "5 of 5 dollars are used",
    ]  # fmt: skip
    assert [bool(item["taskId"]) for item in items] == [True, False, False, True, True, True]
    assert {item["projectName"] for item in items} == {"Demo"}


def test_who_may_not_decide_is_not_shown_it(waiting: World) -> None:
    for role in (Role.VIEWER, Role.MEMBER):
        waiting.client_of(role.label, role)

    assert _inbox(waiting, "viewer") == []
    assert _inbox(waiting, "member") == [item for item in ALL if item[0] not in {"release", "review"}]


def test_a_restricted_project_shows_what_the_membership_allows(waiting: World) -> None:
    for name in ("outside", "inside"):
        waiting.client_of(name, Role.MAINTAINER)
    restricted = waiting.project("Secret")
    waiting.task(restricted, "Hidden", state="ready_to_test")
    waiting.task(restricted, "Hidden failure", state="failed")
    put(Project, restricted.id, is_restricted=True)
    _join(restricted, waiting.users["inside"].id, Role.MEMBER)

    assert _inbox(waiting, "outside", projectId=restricted.id) == []
    assert _inbox(waiting, "inside", projectId=restricted.id) == [("failed", "Hidden failure")]
    assert ("review", "Hidden") not in _inbox(waiting, "outside")


def test_the_author_is_not_asked_to_approve_where_another_one_must(waiting: World) -> None:
    project = waiting.project("Strict", separate_approver=True)
    waiting.task(project, "By max", state="ready_to_test")
    waiting.client_of("other", Role.MAINTAINER)

    assert _inbox(waiting, projectId=project.id) == []
    assert _inbox(waiting, "other", projectId=project.id) == [("review", "By max")]


@transactional
def _join(tx: Transaction, project: Project, user_id: str, role: Role) -> None:
    tx.add(ProjectMember(project_id=project.id, user_id=user_id, role=int(role)))
