"""A person sees where they are logged in, and ends what they do not know; on both databases."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from common.models.account import User
from tests import builders
from tests.builders import log_in

PHONE = {"HTTP_USER_AGENT": "Phone/1.0", "REMOTE_ADDR": "192.0.2.7"}


def _client_of_login(app: Flask, login: dict[str, Any]) -> FlaskClient:
    return builders.client_with(app, login["accessToken"])


def _is_open(app: Flask, login: dict[str, Any]) -> bool:
    """Whether access token and refresh token are both good; that one is and the other is not fails."""
    access = _client_of_login(app, login).get("/api/auth/me").status_code
    refreshed = app.test_client().post("/api/auth/refresh", json={"refreshToken": login["refreshToken"]}).status_code
    assert (access, refreshed) in {(200, 200), (401, 401)}
    return access == 200


def _sessions(client: FlaskClient) -> list[dict[str, Any]]:
    reply = client.get("/api/sessions")
    assert reply.status_code == 200
    sessions: list[dict[str, Any]] = reply.json["sessions"]
    return sessions


def test_the_own_sessions_say_where_and_when_each_was_used(app: Flask, admin_user: User) -> None:
    here = log_in(app.test_client())
    phone = app.test_client()
    phone.environ_base.update(PHONE)
    there = log_in(phone)
    builders.a_user("bob")
    log_in(app.test_client(), "bob")

    first, second = sorted(_sessions(_client_of_login(app, here)), key=lambda one: not one["isCurrent"])

    assert (first["isCurrent"], second["isCurrent"]) == (True, False)
    assert (second["client"], second["address"]) == ("Phone/1.0", "192.0.2.7")
    assert first["createdAt"] <= first["lastUsedAt"] < first["expiresAt"]
    assert set(first) == {"id", "address", "client", "createdAt", "lastUsedAt", "expiresAt", "isCurrent"}
    moved = app.test_client()
    moved.environ_base.update(PHONE, REMOTE_ADDR="192.0.2.8", HTTP_USER_AGENT="x" * 500)
    assert moved.post("/api/auth/refresh", json={"refreshToken": there["refreshToken"]}).status_code == 200
    (used,) = (one for one in _sessions(_client_of_login(app, here)) if not one["isCurrent"])
    assert (used["id"], used["address"], len(used["client"])) == (second["id"], "192.0.2.8", 200)
    assert used["lastUsedAt"] >= second["lastUsedAt"]


def test_a_session_that_is_ended_is_refused_at_once_and_no_other(app: Flask, admin_user: User) -> None:
    here, there, elsewhere = (log_in(app.test_client()) for _one in range(3))
    client = _client_of_login(app, here)
    (ended,) = (one["id"] for one in _sessions(_client_of_login(app, there)) if one["isCurrent"])

    assert client.delete(f"/api/sessions/{ended}").status_code == 204
    assert client.delete(f"/api/sessions/{ended}").status_code == 204

    assert not _is_open(app, there)
    assert ended not in {one["id"] for one in _sessions(client)}
    assert _is_open(app, elsewhere)
    assert _is_open(app, here)


def test_all_other_sessions_end_together(app: Flask, admin_user: User) -> None:
    here, *others = (log_in(app.test_client()) for _one in range(3))
    builders.a_user("bob")
    bob = log_in(app.test_client(), "bob")

    assert _client_of_login(app, here).delete("/api/sessions").status_code == 204

    assert [_is_open(app, one) for one in others] == [False, False]
    assert [one["isCurrent"] for one in _sessions(_client_of_login(app, here))] == [True]
    assert _is_open(app, bob)
    assert _is_open(app, here)
