"""Users and their tokens: who makes, changes and deletes them, which values are refused, and what ends at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models.account import User
from common.services.people import accounts
from common.states import Role
from tests import builders
from tests.builders import log_in
from tests.web.world import at_once


def test_an_admin_makes_a_user_who_can_log_in(admin: FlaskClient, anyone: FlaskClient) -> None:
    reply = admin.post("/api/users", json={"username": "bob", "password": "a good password", "role": "viewer"})

    assert reply.status_code == 201
    user = reply.json["user"]
    assert (user["username"], user["role"], user["isActive"]) == ("bob", "viewer", True)
    assert log_in(anyone, "bob", "a good password")["user"]["id"] == user["id"]
    assert "bob" in [listed["username"] for listed in admin.get("/api/users").json["users"]]


@pytest.mark.parametrize(
    "username",
    [
        "a b", "a:b", "Operator", "x" * 65, "a\u200bb",
    ],
)  # fmt: skip
def test_a_username_that_could_be_mistaken_is_refused(plain_admin: FlaskClient, username: str) -> None:
    reply = plain_admin.post("/api/users", json={"username": username, "password": "a good password"})

    assert reply.status_code == 400
    assert reply.json["details"]["field"] == "username"


def test_a_role_holds_from_the_next_request(app: Flask, admin: FlaskClient) -> None:
    user = builders.a_user("bob", Role.ADMIN)
    bob = builders.client_of(app, user)
    assert bob.get("/api/users").status_code == 200

    assert admin.patch(f"/api/users/{user.id}", json={"role": "viewer"}).json["user"]["role"] == "viewer"

    assert bob.get("/api/users").status_code == 403


def test_a_deactivation_ends_logins_and_tokens_at_once(app: Flask, admin: FlaskClient, anyone: FlaskClient) -> None:
    user = builders.a_user("bob")
    session, by_token = log_in(anyone, "bob"), builders.client_of(app, user)

    reply = admin.patch(f"/api/users/{user.id}", json={"isActive": False})

    assert reply.json["user"]["isActive"] is False
    assert by_token.get("/api/auth/me").status_code == 401
    assert builders.client_with(app, session["accessToken"]).get("/api/auth/me").status_code == 401
    admin.patch(f"/api/users/{user.id}", json={"isActive": True})
    assert builders.client_with(app, session["accessToken"]).get("/api/auth/me").status_code == 401


@pytest.mark.parametrize("change", [{"role": "member"}, {"isActive": False}])
def test_the_last_admin_stays_one(admin: FlaskClient, admin_user: User, change: dict[str, Any]) -> None:
    builders.a_user("retired", Role.ADMIN, is_active=False)

    reply = admin.patch(f"/api/users/{admin_user.id}", json=change)

    assert reply.status_code == 409
    assert admin.get("/api/users").status_code == 200


@pytest.mark.slow
def test_two_admins_who_demote_each_other_at_once_leave_one(app: Flask) -> None:
    users = [builders.a_user("one", Role.ADMIN), builders.a_user("two", Role.ADMIN)]
    clients = [builders.client_of(app, user) for user in users]
    statuses: list[int] = []

    def demote(index: int) -> None:
        reply = clients[index].patch(f"/api/users/{users[1 - index].id}", json={"role": "viewer"})
        statuses.append(reply.status_code)

    at_once(lambda: demote(0), lambda: demote(1))

    roles = {accounts.read_user(user.id).role for user in users}
    assert roles == {Role.ADMIN, Role.VIEWER}
    assert 200 in statuses


def test_a_token_is_shown_once_and_works(app: Flask, member: FlaskClient) -> None:
    reply = member.post("/api/tokens", json={"name": "ci", "role": "viewer"})

    assert reply.status_code == 201
    made = reply.json["token"]
    assert made["token"].startswith("aiw_")
    listed = member.get("/api/tokens").json["tokens"]
    assert all("token" not in token for token in listed)
    assert builders.client_with(app, made["token"]).get("/api/auth/me").json["user"]["role"] == "viewer"
    assert member.delete(f"/api/tokens/{made['id']}").status_code == 204
    assert builders.client_with(app, made["token"]).get("/api/auth/me").status_code == 401


def test_a_token_that_ends_makes_none_that_outlives_it(app: Flask, member: FlaskClient) -> None:
    ends = (datetime.now(UTC) + timedelta(days=100)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    short = member.post("/api/tokens", json={"name": "short", "expiresAt": ends}).json["token"]

    child = builders.client_with(app, short["token"]).post("/api/tokens", json={"name": "child"}).json["token"]

    assert child["expiresAt"] == ends


@pytest.mark.parametrize("password", ["12345678", "aiworker1", "boberina"])
def test_a_well_known_password_is_refused(plain_admin: FlaskClient, password: str) -> None:
    username = "boberina"
    reply = plain_admin.post("/api/users", json={"username": username, "password": password})

    assert (reply.status_code, reply.json["details"]["field"]) == (400, "password")
    assert username not in [user["username"] for user in plain_admin.get("/api/users").json["users"]]
