"""Tokens end: with the token they were made with, at their time, with a new password; and each ends only its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models.account import ApiToken, EnrolmentToken, User
from common.services.people import tokens
from common.services.runs.agents import create_local_enrolment
from common.states import Role
from tests import builders
from tests.web import world as rows

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
