"""Logging in, refreshing, logging out; users and tokens; what ends them, at once."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models.account import User
from common.services.people import accounts
from common.settings import settings
from common.states import Role
from tests import builders

LOGIN = {"username": "ada", "password": builders.PASSWORD}


def log_in(client: FlaskClient, username: str = "ada", password: str = builders.PASSWORD) -> dict[str, Any]:
    reply = client.post("/api/auth/login", json={"username": username, "password": password})
    assert reply.status_code == 200, reply.json
    body: dict[str, Any] = reply.json
    return body


def test_a_login_gives_tokens_that_open_the_api(app: Flask, anyone: FlaskClient, admin_user: User) -> None:
    session = log_in(anyone)

    assert session["expiresIn"] == 900
    assert session["user"]["username"] == "ada"
    me = builders.client_with(app, session["accessToken"]).get("/api/auth/me")
    assert me.json["user"] == session["user"]
    assert set(me.json["user"]) == {"id", "username", "role", "createdAt"}
    assert me.json["user"]["createdAt"].endswith("Z")


@pytest.mark.parametrize(
    "credentials", [("ada", "wrong password"), ("nobody", builders.PASSWORD), ("gone", builders.PASSWORD)]
)
def test_a_failed_login_does_not_say_why(anyone: FlaskClient, admin_user: User, credentials: tuple[str, str]) -> None:
    builders.a_user("gone", is_active=False)
    username, password = credentials

    reply = anyone.post("/api/auth/login", json={"username": username, "password": password})

    assert (reply.status_code, reply.json) == (401, {"error": "Invalid credentials"})


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


def test_an_api_token_can_not_be_logged_out(admin: FlaskClient) -> None:
    assert admin.post("/api/auth/logout").status_code == 409


def test_ten_failed_logins_a_minute_are_enough(anyone: FlaskClient, admin_user: User) -> None:
    wrong = {**LOGIN, "password": "wrong password"}
    replies = [anyone.post("/api/auth/login", json=wrong) for _attempt in range(25)]

    limited = [reply for reply in replies if reply.status_code == 429]
    assert limited
    assert {reply.status_code for reply in replies[:10]} == {401}
    assert 1 <= int(limited[0].headers["Retry-After"]) <= 60


def test_a_name_is_limited_from_many_addresses_too(plain_app: Flask) -> None:
    client = plain_app.test_client()
    wrong = {"username": f"ada-{uuid.uuid4()}", "password": "wrong password"}
    statuses = [
        client.post("/api/auth/login", json=wrong, environ_base={"REMOTE_ADDR": f"10.0.0.{number}"}).status_code
        for number in range(122)
    ]

    assert set(statuses[:60]) == {401}
    assert 429 in statuses


def test_good_logins_are_not_counted(anyone: FlaskClient, admin_user: User) -> None:
    assert {anyone.post("/api/auth/login", json=LOGIN).status_code for _attempt in range(15)} == {200}


def test_logins_are_limited_and_possible_without_redis(
    anyone: FlaskClient, admin_user: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIWORKER_REDIS_URL", f"unix://{tmp_path}/nothing.sock")
    # This process counts for itself then, and so do the tests before this one: another instance's counts are its own.
    monkeypatch.setenv("AIWORKER_INSTANCE", f"aiw-{uuid.uuid4()}")
    settings.cache_clear()
    wrong = {**LOGIN, "password": "wrong password"}

    assert anyone.post("/api/auth/login", json=LOGIN).status_code == 200
    statuses = [anyone.post("/api/auth/login", json=wrong).status_code for _attempt in range(25)]

    assert 429 in statuses


def test_an_admin_makes_a_user_who_can_log_in(admin: FlaskClient, anyone: FlaskClient) -> None:
    reply = admin.post("/api/users", json={"username": "bob", "password": "a good password", "role": "viewer"})

    assert reply.status_code == 201
    user = reply.json["user"]
    assert (user["username"], user["role"], user["isActive"]) == ("bob", "viewer", True)
    assert log_in(anyone, "bob", "a good password")["user"]["id"] == user["id"]
    assert "bob" in [listed["username"] for listed in admin.get("/api/users").json["users"]]


@pytest.mark.parametrize("username", ["ada", "ADA"])
def test_a_taken_username_is_a_conflict(admin: FlaskClient, username: str) -> None:
    reply = admin.post("/api/users", json={"username": username, "password": "a good password"})

    assert reply.status_code == 409
    assert reply.json["details"]["field"] == "username"


@pytest.mark.parametrize(
    "username", ["", " ", "a b", "a:b", "platform", "x" * 65, "-a", "a\n", "\u202eada", "a\u200bb", "ädä"]
)
def test_a_username_that_could_be_mistaken_is_refused(plain_admin: FlaskClient, username: str) -> None:
    reply = plain_admin.post("/api/users", json={"username": username, "password": "a good password"})

    assert reply.status_code == 400
    assert reply.json["details"]["field"] == "username"


def test_a_short_password_is_refused(plain_admin: FlaskClient) -> None:
    reply = plain_admin.post("/api/users", json={"username": "bob", "password": "short"})

    assert (reply.status_code, reply.json["details"]["field"]) == (400, "password")


def test_what_is_unknown_or_read_only_is_named(plain_admin: FlaskClient) -> None:
    body = {"username": "bob", "password": "a good password", "id": "x", "admin": True}
    reply = plain_admin.post("/api/users", json=body)

    assert reply.status_code == 400
    assert {(fault["field"], fault["message"]) for fault in reply.json["errors"]} == {
        ("id", "Read-only field"),
        ("admin", "Unknown field"),
    }


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


def test_a_new_password_ends_the_logins_of_the_old_one(app: Flask, admin: FlaskClient, anyone: FlaskClient) -> None:
    user = builders.a_user("bob")
    session = log_in(anyone, "bob")

    assert admin.patch(f"/api/users/{user.id}", json={"password": "another password"}).status_code == 200

    assert builders.client_with(app, session["accessToken"]).get("/api/auth/me").status_code == 401
    assert anyone.post("/api/auth/refresh", json={"refreshToken": session["refreshToken"]}).status_code == 401
    assert anyone.post("/api/auth/login", json={"username": "bob", "password": builders.PASSWORD}).status_code == 401
    assert log_in(anyone, "bob", "another password")


@pytest.mark.parametrize("change", [{"role": "member"}, {"isActive": False}])
def test_the_last_admin_stays_one(admin: FlaskClient, admin_user: User, change: dict[str, Any]) -> None:
    builders.a_user("retired", Role.ADMIN, is_active=False)

    reply = admin.patch(f"/api/users/{admin_user.id}", json=change)

    assert reply.status_code == 409
    assert admin.get("/api/users").status_code == 200


def test_the_last_admin_can_not_be_deleted(admin: FlaskClient, admin_user: User) -> None:
    assert admin.delete(f"/api/users/{admin_user.id}").status_code == 409
    builders.a_user("other", Role.ADMIN)
    assert admin.delete(f"/api/users/{admin_user.id}").status_code == 204
    assert admin.get("/api/users").status_code == 401


def test_two_admins_who_demote_each_other_at_once_leave_one(app: Flask) -> None:
    users = [builders.a_user("one", Role.ADMIN), builders.a_user("two", Role.ADMIN)]
    clients = [builders.client_of(app, user) for user in users]
    statuses: list[int] = []

    def demote(index: int) -> None:
        reply = clients[index].patch(f"/api/users/{users[1 - index].id}", json={"role": "viewer"})
        statuses.append(reply.status_code)

    _at_once([lambda: demote(0), lambda: demote(1)])

    roles = {accounts.read_user(user.id).role for user in users}
    assert roles == {Role.ADMIN, Role.VIEWER}
    assert 200 in statuses


def test_a_deleted_user_is_gone_with_their_tokens(app: Flask, admin: FlaskClient) -> None:
    user = builders.a_user("bob")
    bob = builders.client_of(app, user)

    assert admin.delete(f"/api/users/{user.id}").status_code == 204

    assert bob.get("/api/auth/me").status_code == 401
    assert admin.delete(f"/api/users/{user.id}").status_code == 404


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


def test_a_token_is_at_most_its_makers_role(member: FlaskClient) -> None:
    assert member.post("/api/tokens", json={"name": "ci", "role": "admin"}).status_code == 403


def test_a_token_that_ends_makes_none_that_outlives_it(app: Flask, member: FlaskClient) -> None:
    ends = (datetime.now(UTC) + timedelta(days=100)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    short = member.post("/api/tokens", json={"name": "short", "expiresAt": ends}).json["token"]

    child = builders.client_with(app, short["token"]).post("/api/tokens", json={"name": "child"}).json["token"]

    assert child["expiresAt"] == ends


@pytest.mark.parametrize("expires_at", ["2001-01-01T00:00:00Z", "soon", "2099-01-01T00:00:00", 5])
def test_an_expiry_is_a_time_to_come(plain_member: FlaskClient, expires_at: object) -> None:
    reply = plain_member.post("/api/tokens", json={"name": "ci", "expiresAt": expires_at})

    assert (reply.status_code, reply.json["details"]["field"]) == (400, "expiresAt")


def test_anothers_token_does_not_exist(app: Flask, member: FlaskClient, admin: FlaskClient) -> None:
    made = member.post("/api/tokens", json={"name": "ci"}).json["token"]

    assert admin.delete(f"/api/tokens/{made['id']}").status_code == 404
    assert made["id"] not in [token["id"] for token in admin.get("/api/tokens").json["tokens"]]


def test_an_admin_makes_an_enrolment_token(admin: FlaskClient) -> None:
    reply = admin.post("/api/agents/enrolment-tokens")

    assert reply.status_code == 201
    assert set(reply.json["enrolmentToken"]) == {"id", "expiresAt", "token"}
    assert reply.json["enrolmentToken"]["token"].startswith("awe_")


def test_the_first_admin_is_made_once_by_however_many_processes(app: Flask) -> None:
    passwords: list[str | None] = []
    _at_once([lambda: passwords.append(accounts.ensure_first_admin())] * 4)

    made = [password for password in passwords if password is not None]
    assert len(passwords) == 4
    assert len(made) == 1
    assert log_in(app.test_client(), "admin", made[0])["user"]["role"] == "admin"
    assert accounts.ensure_first_admin() is None


def test_the_first_admins_password_may_be_given(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_ADMIN_PASSWORD", "given by the operator")
    settings.cache_clear()

    assert accounts.ensure_first_admin() is None
    assert log_in(app.test_client(), "admin", "given by the operator")


def test_pages_of_users_by_cursor_hold_each_once(admin: FlaskClient) -> None:
    for number in range(7):
        builders.a_user(f"user{number}")
    names: list[str] = []
    cursor: str | None = None
    while cursor is not None or not names:
        page = admin.get("/api/users", query_string={"limit": "3", **({"cursor": cursor} if cursor else {})}).json
        assert page["total"] == 8
        names += [user["username"] for user in page["users"]]
        cursor = page["nextCursor"]

    assert sorted(names) == sorted(["ada", *(f"user{number}" for number in range(7))])


def _at_once(acts: list[Any]) -> None:
    barrier = threading.Barrier(len(acts))

    def start(act: Any) -> None:
        barrier.wait(10)
        act()

    threads = [threading.Thread(target=start, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


@pytest.mark.parametrize(
    "password", ["password", "12345678", "Password1!", "qwertyuiop", "aiworker1", "boberina", "aaaaaaaaaaaa"]
)
def test_a_well_known_password_is_refused(plain_admin: FlaskClient, password: str) -> None:
    username = "boberina"
    reply = plain_admin.post("/api/users", json={"username": username, "password": password})

    assert (reply.status_code, reply.json["details"]["field"]) == (400, "password")
    assert username not in [user["username"] for user in plain_admin.get("/api/users").json["users"]]


def test_a_reset_to_a_well_known_password_is_refused(plain_app: Flask, plain_admin: FlaskClient) -> None:
    user = builders.a_user("bob")

    reply = plain_admin.patch(f"/api/users/{user.id}", json={"password": "12345678"})

    assert (reply.status_code, reply.json["details"]["field"]) == (400, "password")
    assert log_in(plain_app.test_client(), "bob")


def test_a_long_password_is_estimated_in_bounded_time_and_taken(plain_admin: FlaskClient) -> None:
    long = "".join(chr(33 + number * 7 % 94) for number in range(256))

    assert plain_admin.post("/api/users", json={"username": "bob", "password": long}).status_code == 201


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


def test_an_api_token_does_not_change_the_password(plain_app: Flask, plain_admin: FlaskClient) -> None:
    reply = plain_admin.post("/api/auth/password", json={"current": builders.PASSWORD, "new": "a better password"})

    assert reply.status_code == 409
    assert log_in(plain_app.test_client())


def test_guesses_at_the_present_password_are_counted_as_logins_are(plain_app: Flask) -> None:
    name = f"ada-{uuid.uuid4()}"
    builders.a_user(name)
    session = log_in(plain_app.test_client(), name)
    client = builders.client_with(plain_app, session["accessToken"])

    guesses = [
        client.post("/api/auth/password", json={"current": f"guess {number}", "new": "a better password"}).status_code
        for number in range(15)
    ]

    assert 429 in guesses
