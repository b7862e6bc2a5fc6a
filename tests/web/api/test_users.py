"""Users and their tokens: who makes, changes and deletes them, which values are refused, and what ends at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models.account import ApiToken, EnrolmentToken, User
from common.services.agents.agents import create_local_enrolment
from common.services.people import accounts, tokens
from common.values.states import Role
from tests import builders
from tests.builders import log_in
from tests.web import world as rows
from tests.web.world import at_once


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


POD = {"podName": "pod-1", "capabilities": [], "driver": "scripted", "version": "1.0", "slots": 1}


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def make(client: FlaskClient, name: str = "made", **values: Any) -> dict[str, Any]:
    reply = client.post("/api/tokens", json={"name": name, **values})
    assert reply.status_code == 201, reply.json
    made: dict[str, Any] = reply.json["token"]
    return made


def enrol(client: FlaskClient, **values: Any) -> dict[str, Any]:
    reply = client.post("/api/agents/enrolment-tokens", json=values)
    assert reply.status_code == 201, reply.json
    made: dict[str, Any] = reply.json["enrolmentToken"]
    return made


def is_good(app: Flask, token: str) -> bool:
    return builders.client_with(app, token).get("/api/auth/me").status_code == 200


def lets_in(app: Flask, token: str) -> bool:
    return builders.client_with(app, token).post("/api/runner/register", json=POD).status_code == 201


def ids_of_tokens() -> set[str]:
    return {row.id for kind in (ApiToken, EnrolmentToken) for row in rows.all_of(kind)}


def logged_in(app: Flask, username: str) -> FlaskClient:
    body = {"username": username, "password": builders.PASSWORD}
    reply = app.test_client().post("/api/auth/login", json=body)
    return builders.client_with(app, reply.json["accessToken"])


def test_revoking_a_token_ends_all_that_were_made_with_it(app: Flask, admin_user: User) -> None:
    ada = logged_in(app, "ada")
    first = make(ada)
    second = make(builders.client_with(app, first["token"]))
    third = make(builders.client_with(app, second["token"]))
    enrolment = enrol(builders.client_with(app, third["token"]))
    other = make(ada, "other")
    assert (first["parentId"], second["parentId"], third["parentId"]) == (None, first["id"], second["id"])

    assert ada.delete(f"/api/tokens/{first['id']}").status_code == 204

    assert [is_good(app, made["token"]) for made in (first, second, third, other)] == [False, False, False, True]
    assert not lets_in(app, enrolment["token"])
    assert [listed["name"] for listed in ada.get("/api/tokens").json["tokens"]] == ["other"]


def test_a_scoped_token_ends_only_itself_and_what_was_made_with_it(app: Flask, admin_user: User) -> None:
    ada = logged_in(app, "ada")
    other, scoped = make(ada, "other", role="viewer"), make(ada, "scoped", role="viewer")
    by_scoped = builders.client_with(app, scoped["token"])
    child = make(by_scoped)

    refused = by_scoped.delete(f"/api/tokens/{other['id']}")

    assert refused.status_code == 403
    assert is_good(app, other["token"])
    assert by_scoped.delete(f"/api/tokens/{child['id']}").status_code == 204
    assert by_scoped.delete(f"/api/tokens/{scoped['id']}").status_code == 204
    assert not is_good(app, scoped["token"])


def test_every_new_token_has_an_end_within_a_year(plain_admin: FlaskClient) -> None:
    for made in (make(plain_admin)["expiresAt"], enrol(plain_admin)["expiresAt"]):
        assert datetime.now(UTC) < datetime.fromisoformat(made) <= datetime.now(UTC) + timedelta(days=366)
    for path, more in (("/api/tokens", {"name": "made"}), ("/api/agents/enrolment-tokens", {})):
        reply = plain_admin.post(path, json={"expiresAt": in_days(367), **more})
        assert (reply.status_code, reply.json["details"]["field"]) == (400, "expiresAt"), path
        assert plain_admin.post(path, json={"expiresAt": in_days(365), **more}).status_code == 201


def test_a_new_password_ends_every_token_of_its_owner_and_nobody_elses(app: Flask, admin: FlaskClient) -> None:
    user = builders.a_user("bob", Role.ADMIN)
    bob = builders.client_of(app, user)
    made, enrolment = make(bob), enrol(bob)
    others = make(admin)
    own_enrolment = enrol(admin)

    assert admin.patch(f"/api/users/{user.id}", json={"password": "another password"}).status_code == 200

    assert not is_good(app, made["token"])
    assert not lets_in(app, enrolment["token"])
    assert is_good(app, others["token"])
    assert lets_in(app, own_enrolment["token"])


def test_enrolment_tokens_are_listed_and_revoked_by_administrators(app: Flask, admin: FlaskClient) -> None:
    made = enrol(admin)
    local = create_local_enrolment()
    assert lets_in(app, made["token"])

    listed = admin.get("/api/enrolment-tokens").json["enrolmentTokens"]

    assert {row["createdBy"] for row in listed} == {"ada", "platform"}
    assert all("token" not in row for row in listed)
    row = next(row for row in listed if row["id"] == made["id"])
    assert row["lastUsedAt"] is not None
    assert admin.delete(f"/api/enrolment-tokens/{made['id']}").status_code == 204
    assert not lets_in(app, made["token"])
    assert lets_in(app, local)
    assert admin.delete(f"/api/enrolment-tokens/{made['id']}").status_code == 404


@pytest.mark.parametrize("change", [{"role": "maintainer"}, None])
def test_an_enrolment_token_ends_with_its_makers_authority(
    app: Flask, admin: FlaskClient, change: dict[str, Any] | None
) -> None:
    user = builders.a_user("bob", Role.ADMIN)
    made = enrol(logged_in(app, "bob"))

    address = f"/api/users/{user.id}"
    reply = admin.delete(address) if change is None else admin.patch(address, json=change)

    assert reply.status_code in {200, 204}
    assert not lets_in(app, made["token"])


def test_an_expired_token_is_refused(app: Flask, admin: FlaskClient) -> None:
    made = make(admin)
    client = builders.client_with(app, made["token"])
    assert client.get("/api/auth/me").status_code == 200

    rows.put(ApiToken, made["id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))

    assert client.get("/api/auth/me").status_code == 401


def test_tokens_that_expired_long_ago_are_deleted_and_others_stay(app: Flask, admin: FlaskClient) -> None:
    ages = {"present": -1, "just expired": 1, "long expired": tokens.KEPT_DAYS + 1}
    kept = {name: (make(admin, name)["id"], enrol(admin)["id"]) for name in ages}
    without_end = make(admin, "without an end")["id"]
    rows.put(ApiToken, without_end, expires_at=None)
    for name, days in ages.items():
        expired_at = datetime.now(UTC) - timedelta(days=days)
        for kind, row_id in zip((ApiToken, EnrolmentToken), kept[name], strict=True):
            rows.put(kind, row_id, expires_at=expired_at)

    before = ids_of_tokens()

    assert tokens.purge_tokens() == 2
    assert tokens.purge_tokens() == 0

    assert before - ids_of_tokens() == set(kept["long expired"])
