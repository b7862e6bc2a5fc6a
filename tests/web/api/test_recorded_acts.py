"""What people do to rights and settings is on record: who did it, with which request, and what changed."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from common.models import EventRow
from common.values.states import Role
from tests import builders
from tests.web.factories import MISSING_ID
from tests.web.world import World, all_of

PASSWORD = "correct horse staple 9"


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


# In the feed of administrators


def feed_of(client: FlaskClient) -> list[dict[str, Any]]:
    """The events of the feed, oldest first."""
    reply = client.get("/api/events?projectId=administration")
    assert reply.status_code == 200, reply.json
    listed: list[dict[str, Any]] = reply.json["events"]
    return listed


def made(reply: TestResponse, name: str) -> str:
    assert reply.status_code == 201, reply.json
    return str(reply.json[name]["id"])


def test_what_is_done_to_users_is_on_record(world: World) -> None:
    admin = world.client_of("ada", Role.ADMIN)
    created = admin.post("/api/users", json={"username": "eve", "password": PASSWORD, "role": "member"})
    about = {"userId": made(created, "user"), "username": "eve"}
    url = f"/api/users/{about['userId']}"
    again = {"role": "admin", "isActive": True}
    for body in ({"role": "admin"}, again, {"isActive": False}, {"password": PASSWORD[::-1]}):
        assert admin.patch(url, json=body).status_code == 200
    assert admin.delete(url).status_code == 204

    found = feed_of(admin)

    assert [one["data"] for one in found] == [
        {**about, "change": "created", "newRole": "member"},
        {**about, "change": "role", "oldRole": "member", "newRole": "admin"},
        {**about, "change": "active", "isActive": False},
        {**about, "change": "password"},
        {**about, "change": "deleted", "oldRole": "admin"},
    ]
    assert {(one["event"], one["actor"]) for one in found} == {("user:changed", "ada")}
    (first, *_others) = rows("user:changed")
    assert first.request_id == created.headers["X-Request-ID"]
    assert PASSWORD not in str([row.data for row in rows("user:changed")])


def test_only_administrators_read_what_administrators_do(world: World) -> None:
    admin = world.client_of("ada", Role.ADMIN)
    made(admin.post("/api/users", json={"username": "eve", "password": PASSWORD, "role": "member"}), "user")
    token = admin.post("/api/tokens", json={"name": "ci", "role": "maintainer"}).json["token"]["token"]

    others = [world.client, world.client_of("vera", Role.VIEWER), builders.client_with(world.app, token)]
    replies = [client.get("/api/events?projectId=administration") for client in others]
    missing = world.client.get(f"/api/events?projectId={MISSING_ID}")

    assert [(reply.status_code, reply.data) for reply in replies] == [(404, missing.data)] * 3
    assert [one["event"] for one in feed_of(admin)] == ["user:changed", "token:changed"]
    for client in others:
        listed = client.get("/api/events").json["events"]
        assert not {"user:changed", "token:changed"} & {one["event"] for one in listed}
