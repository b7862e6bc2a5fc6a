"""Logging in, refreshing, logging out; changing the own password; the first administrator; limits on guesses."""

from __future__ import annotations

from typing import Any

import pytest
import structlog.testing
from flask import Flask
from flask.testing import FlaskClient

from common.models.account import User
from common.services.people import accounts
from tests import builders
from tests.builders import log_in
from tests.web.world import at_once

LOGIN = {"username": "ada", "password": builders.PASSWORD}


def test_a_login_gives_tokens_that_open_the_api(app: Flask, anyone: FlaskClient, admin_user: User) -> None:
    session = log_in(anyone)

    assert session["expiresIn"] == 900
    assert session["user"]["username"] == "ada"
    me = builders.client_with(app, session["accessToken"]).get("/api/auth/me")
    assert me.json["user"] == session["user"]
    assert set(me.json["user"]) == {"id", "username", "role", "createdAt"}
    assert me.json["user"]["createdAt"].endswith("Z")


@pytest.mark.parametrize(
    "credentials",
    [("ada", "wrong password"), ("nobody", builders.PASSWORD), ("gone", builders.PASSWORD)],
)
def test_a_failed_login_does_not_say_why(anyone: FlaskClient, admin_user: User, credentials: tuple[str, str]) -> None:
    builders.a_user("gone", is_active=False)
    username, password = credentials

    reply = anyone.post("/api/auth/login", json={"username": username, "password": password})

    assert (reply.status_code, reply.json) == (401, {"error": "Invalid credentials"})


def test_refused_passwords_are_logged_with_the_address_and_without_what_was_typed(
    anyone: FlaskClient, admin_user: User
) -> None:
    there = {"REMOTE_ADDR": "203.0.113.7"}
    with structlog.testing.capture_logs() as lines:
        for _attempt in range(25):  # more than ten in each of two minutes: it may turn once meanwhile
            anyone.post("/api/auth/login", json={"username": "ada", "password": "a guess"}, environ_base=there)

    assert [(line["event"], line["log_level"], line["client"]) for line in lines] == [
        ("a password was refused", "warning", "203.0.113.7")
    ] * 25
    assert {line["reason"] for line in lines} == {"Invalid credentials", "too many requests"}
    assert {name for line in lines for name in line} == {"event", "log_level", "client", "reason", "request_id"}


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_login(
    app: Flask, anyone: FlaskClient, admin_user: User
) -> None:
    first = log_in(anyone)
    second = anyone.post("/api/auth/refresh", json={"refreshToken": first["refreshToken"]})
    assert second.status_code == 200
    assert builders.client_with(app, second.json["accessToken"]).get("/api/auth/me").status_code == 200

    reused = anyone.post("/api/auth/refresh", json={"refreshToken": first["refreshToken"]})

    assert reused.status_code == 401
    for token in (first["accessToken"], second.json["accessToken"]):
        assert builders.client_with(app, token).get("/api/auth/me").status_code == 401
    assert anyone.post("/api/auth/refresh", json={"refreshToken": second.json["refreshToken"]}).status_code == 401


def test_a_logout_ends_this_login_and_no_other(app: Flask, anyone: FlaskClient, admin_user: User) -> None:
    here, there = log_in(anyone), log_in(anyone)

    reply = builders.client_with(app, here["accessToken"]).post("/api/auth/logout")

    assert reply.status_code == 204
    assert builders.client_with(app, here["accessToken"]).get("/api/auth/me").status_code == 401
    assert anyone.post("/api/auth/refresh", json={"refreshToken": here["refreshToken"]}).status_code == 401
    assert builders.client_with(app, there["accessToken"]).get("/api/auth/me").status_code == 200


def test_ten_failed_logins_a_minute_are_enough(anyone: FlaskClient, admin_user: User) -> None:
    wrong = {**LOGIN, "password": "wrong password"}
    replies = [anyone.post("/api/auth/login", json=wrong) for _attempt in range(25)]

    limited = [reply for reply in replies if reply.status_code == 429]
    assert limited
    assert {reply.status_code for reply in replies[:10]} == {401}
    assert 1 <= int(limited[0].headers["Retry-After"]) <= 60


def test_the_first_admin_is_made_once_by_however_many_processes(app: Flask) -> None:
    passwords: list[str | None] = at_once(*[accounts.ensure_first_admin] * 4)

    made = [password for password in passwords if password is not None]
    assert len(passwords) == 4
    assert len(made) == 1
    assert log_in(app.test_client(), "admin", made[0])["user"]["role"] == "admin"
    assert accounts.ensure_first_admin() is None


def test_a_person_changes_their_own_password(app: Flask, admin_user: User) -> None:
    here, there = log_in(app.test_client()), log_in(app.test_client())
    token = builders.a_token(admin_user)

    reply = builders.client_with(app, here["accessToken"]).post(
        "/api/auth/password", json={"current": builders.PASSWORD, "new": "a better password"}
    )

    assert reply.status_code == 200
    assert builders.client_with(app, reply.json["accessToken"]).get("/api/auth/me").status_code == 200
    for ended in (here["accessToken"], there["accessToken"], token):
        assert builders.client_with(app, ended).get("/api/auth/me").status_code == 401
    assert app.test_client().post("/api/auth/login", json=LOGIN).status_code == 401
    assert log_in(app.test_client(), "ada", "a better password")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"current": "not this one", "new": "a better password"}, "current"),
        ({"current": builders.PASSWORD, "new": "password"}, "new"),
        ({"current": builders.PASSWORD, "new": "short"}, "new"),
        ({"current": builders.PASSWORD}, "new"),
    ],
)
def test_a_password_that_can_not_be_changed_stays(
    plain_app: Flask, plain_admin: FlaskClient, body: dict[str, Any], field: str
) -> None:
    session = log_in(plain_app.test_client())

    reply = builders.client_with(plain_app, session["accessToken"]).post("/api/auth/password", json=body)

    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)
    assert log_in(plain_app.test_client())


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
