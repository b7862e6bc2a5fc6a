"""What people do to rights and settings is on record: who did it, with which request, and what changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.models import EventRow
from common.services.projects import projects
from common.states import Role
from common.transaction import Transaction, transactional
from tests.web.made import somebody
from tests.web.world import World, all_of


def recorded(name: str) -> list[dict[str, Any]]:
    """The data of the events of this name, oldest first."""
    return [json.loads(row.data)["data"] for row in rows(name)]


def rows(name: str) -> list[EventRow]:
    return sorted(all_of(EventRow, EventRow.name == name), key=lambda row: (row.feed_id, row.seq))


# In the project's feed


def test_whoever_becomes_a_member_has_another_role_or_leaves_is_on_record(world: World) -> None:
    project, max_ = world.project(), world.client
    world.client_of("mia", Role.MEMBER)
    mia = world.users["mia"]
    url, about = f"/api/projects/{project.id}/members/{mia.id}", {"userId": mia.id, "username": "mia"}

    reply = max_.put(url, json={"role": "viewer"})
    for role in ("viewer", "member"):
        assert max_.put(url, json={"role": role}).status_code == 200
    assert max_.delete(url).status_code == 204

    assert recorded("project:member_changed") == [
        {"projectId": project.id, **about, "newRole": "viewer"},
        {"projectId": project.id, **about, "oldRole": "viewer", "newRole": "member"},
        {"projectId": project.id, **about, "oldRole": "member"},
    ]
    first = rows("project:member_changed")[0]
    assert (first.feed_id, first.actor) == (project.id, "maxim")
    assert first.request_id == reply.headers["X-Request-ID"]


def test_a_change_of_a_project_names_the_settings_that_changed(world: World) -> None:
    project = world.project(separate_approver=True, env_vars={"KEY": "1"}, secret_env_vars={"TOKEN": "canary"})
    admin = world.client_of("ada", Role.ADMIN)
    changes: list[tuple[dict[str, Any], list[str]]] = [
        ({"separateApprover": False, "description": ""}, ["separateApprover"]),
        ({"forbiddenPaths": [], "restricted": True}, ["forbiddenPaths", "restricted"]),
        ({"envVars": {"KEY": "1"}, "healthSeconds": {"staging": 5}}, ["healthSeconds"]),
        ({"envVars": {"KEY": "canary"}, "secretEnvVars": {"OTHER": "canary"}}, ["envVars", "secretEnvVars"]),
        ({"keepTests": False, "caps": {"day": {"costUsd": 5}}}, ["caps", "testsLost"]),
    ]

    for body, _names in changes:
        assert admin.patch(f"/api/projects/{project.id}", json=body).status_code == 200

    said = [data for data in recorded("project:status_changed") if "changed" in data]
    assert [sorted(data["changed"]) for data in said] == [names for _body, names in changes]
    assert all((data["oldStatus"], data["newStatus"]) == ("active", "active") for data in said)
    assert "canary" not in json.dumps(said)


def test_a_change_that_changes_nothing_names_no_setting(world: World) -> None:
    project = world.project()

    assert world.client.patch(f"/api/projects/{project.id}", json={"description": ""}).status_code == 200

    assert recorded("project:status_changed")[-1] == {
        "projectId": project.id, "oldStatus": "active", "newStatus": "active"
    }  # fmt: skip


def test_an_act_that_is_rolled_back_is_not_on_record(world: World) -> None:
    project = world.project()
    world.client_of("mia", Role.MEMBER)

    @transactional
    def undone(_tx: Transaction) -> None:
        projects.put_member(project.id, world.users["mia"].id, Role.VIEWER, by=somebody())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()

    assert recorded("project:member_changed") == []
