"""Who may see and change a project, and what its name tells those who may not."""

from __future__ import annotations

import json

from flask import Flask
from flask.testing import FlaskClient

from common.values.states import Role
from tests import builders
from tests.web.factories import MISSING_ID, a_project
from tests.web.world import events


def test_a_restricted_project_does_not_exist_for_others(app: Flask) -> None:
    project = a_project(is_restricted=True)
    stranger = builders.client_of(app, builders.a_user("sam", Role.MAINTAINER))
    member = builders.a_user("mia", Role.MAINTAINER)
    admin = builders.client_of(app, builders.a_user("ada", Role.ADMIN))

    for method, tail, body in (
        ("GET", "", None), ("PATCH", "", {"name": "x"}), ("DELETE", "", None), ("POST", "/retry", None),
        ("GET", "/members", None), ("PUT", f"/members/{member.id}", {"role": "viewer"}),
        ("DELETE", f"/members/{member.id}", None),
    ):  # fmt: skip
        foreign = stranger.open(f"/api/projects/{project.id}{tail}", method=method, json=body)
        missing = stranger.open(f"/api/projects/{MISSING_ID}{tail}", method=method, json=body)
        assert (foreign.status_code, foreign.data) == (404, b'{"error":"Resource not found"}')
        assert (foreign.status_code, foreign.data) == (missing.status_code, missing.data)
    assert stranger.get("/api/projects").json["total"] == 0

    put = admin.put(f"/api/projects/{project.id}/members/{member.id}", json={"role": "member"})
    assert put.json == {"member": {"userId": member.id, "username": "mia", "role": "member"}}
    insider = builders.client_of(app, member)
    assert insider.get("/api/projects").json["total"] == 1
    assert insider.get(f"/api/projects/{project.id}/members").json == {"members": [put.json["member"]]}
    assert insider.patch(f"/api/projects/{project.id}", json={"name": "x"}).status_code == 403
    assert admin.delete(f"/api/projects/{project.id}/members/{member.id}").status_code == 204
    assert admin.delete(f"/api/projects/{project.id}/members/{member.id}").status_code == 404
    assert insider.get(f"/api/projects/{project.id}").status_code == 404


def test_who_restricts_a_project_stays_its_maintainer(app: Flask, admin: FlaskClient) -> None:
    """Else nobody but an administrator could use it, or let anybody in."""
    user, mia = builders.a_user("max", Role.MAINTAINER), builders.a_user("mia")
    max_ = builders.client_of(app, user)
    made = max_.post("/api/projects", json={"name": "Made", "restricted": True}, headers={"Idempotency-Key": "k"})
    closed = max_.post("/api/projects", json={"name": "Closed"}).json["project"]
    # A member's role counts once the project is restricted.
    lower = admin.put(f"/api/projects/{closed['id']}/members/{user.id}", json={"role": "viewer"})
    assert lower.status_code == 200
    assert max_.patch(f"/api/projects/{closed['id']}", json={"restricted": True}).status_code == 200

    for project in (made.json["project"], closed):
        path = f"/api/projects/{project['id']}"
        (member,) = max_.get(f"{path}/members").json["members"]
        assert (member["username"], member["role"]) == ("max", "maintainer")
        assert max_.put(f"{path}/members/{mia.id}", json={"role": "member"}).status_code == 200
        assert builders.client_of(app, mia).get(path).status_code == 200
        assert max_.patch(path, json={"description": "Ours", "restricted": True}).status_code == 200
    joined = sorted(json.loads(event.data)["data"]["username"] for event in events("project:member_changed"))
    assert joined == ["max", "max", "max", "mia", "mia"]

    again = max_.post("/api/projects", json={"name": "Made", "restricted": True}, headers={"Idempotency-Key": "k"})
    assert again.data == made.data
    assert admin.post("/api/projects", json={"name": "Theirs", "restricted": True}).status_code == 201
    assert len(events("project:member_changed")) == 5


def test_only_maintainers_see_what_variables_hold(member: FlaskClient, maintainer: FlaskClient) -> None:
    project = a_project(env_vars={"NODE_ENV": "canary-77"})

    for reply in (member.get(f"/api/projects/{project.id}"), member.get("/api/projects")):
        assert b"canary" not in reply.data
        assert b'"NODE_ENV":"***"' in reply.data
    assert maintainer.get(f"/api/projects/{project.id}").json["project"]["envVars"] == {"NODE_ENV": "canary-77"}


def test_the_name_of_a_hidden_project_is_free_to_others_and_tells_nothing(app: Flask, admin: FlaskClient) -> None:
    """Neither a 409 nor a counted slug says that there is a restricted project of this name."""
    max_ = builders.client_of(app, builders.a_user("max", Role.MAINTAINER))
    assert admin.post("/api/projects", json={"name": "Acquisition", "restricted": True}).status_code == 201

    first = max_.post("/api/projects", json={"name": "Acquisition"})
    renamed = max_.post("/api/projects", json={"name": "Other"}).json["project"]

    assert first.status_code == 201
    assert first.json["project"]["giteaRepoUrl"].endswith("/acquisition")
    reply = max_.patch(f"/api/projects/{renamed['id']}", json={"name": "Acquisition"})
    assert reply.status_code == 409
    assert max_.delete(f"/api/projects/{first.json['project']['id']}").status_code == 202
