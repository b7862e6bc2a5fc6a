"""Logging in, tokens, users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.contract.caller import AGENT_ID, UUID7, Caller, check_time, faults
from tests.e2e.contract.platform import PASSWORD, Platform, eventually


def test_a_login_answers_two_tokens_and_the_user(platform: Platform) -> None:
    reply = platform.anybody.post("/auth/login", {"username": "admin", "password": platform.password})

    assert set(reply) == {"accessToken", "refreshToken", "expiresIn", "user"}
    assert reply["expiresIn"] > 0
    assert set(reply["user"]) == {"id", "username", "role", "createdAt"}
    assert reply["user"]["role"] == "admin"
    assert UUID7.fullmatch(reply["user"]["id"])
    check_time(reply["user"]["createdAt"])
    assert platform.anybody.bearing(reply["accessToken"]).get("/auth/me") == {"user": reply["user"]}


def test_a_failed_login_does_not_say_what_was_wrong(platform: Platform) -> None:
    for body in ({"username": "admin", "password": "wrong"}, {"username": "nobody-at-all", "password": "wrong"}):
        assert platform.anybody.post("/auth/login", body, 401) == {"error": "Invalid credentials"}
    missing = platform.anybody.post("/auth/login", {}, 400)
    assert faults(missing) == {"username": "Required", "password": "Required"}


def test_a_refresh_token_works_once(platform: Platform) -> None:
    user = platform.new_user("viewer")
    login = platform.anybody.post("/auth/login", {"username": user.user["username"], "password": PASSWORD})

    fresh = platform.anybody.post("/auth/refresh", {"refreshToken": login["refreshToken"]})
    assert set(fresh) == {"accessToken", "refreshToken", "expiresIn", "user"}
    platform.anybody.bearing(fresh["accessToken"]).get("/auth/me")
    again = platform.anybody.post("/auth/refresh", {"refreshToken": login["refreshToken"]}, 401)
    assert again == {"error": "Invalid or expired token"}
    platform.anybody.bearing(fresh["refreshToken"]).get("/auth/me", 401)
    platform.anybody.post("/auth/refresh", {"refreshToken": fresh["accessToken"]}, 401)


def test_an_api_token_is_shown_once_and_is_its_owners(platform: Platform) -> None:
    owner, other = platform.new_user("member"), platform.as_a("maintainer")
    expires_at = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    made = owner.post("/tokens", {"name": "ci", "role": "viewer", "expiresAt": expires_at}, 201)["token"]

    assert set(made) == {"id", "name", "role", "createdAt", "expiresAt", "lastUsedAt", "parentId", "token"}
    assert made["token"].startswith("aiw_")
    (listed,) = owner.get("/tokens")["tokens"]
    assert set(listed) == set(made) - {"token"}
    assert datetime.fromisoformat(listed["expiresAt"]) == datetime.fromisoformat(expires_at)
    caller = platform.anybody.bearing(made["token"])
    assert caller.get("/auth/me")["user"]["username"] == owner.user["username"]
    caller.post("/tasks", {"projectId": platform.project()["id"], "title": "x"}, 403)
    assert made["id"] not in {token["id"] for token in other.get("/tokens")["tokens"]}
    other.delete(f"/tokens/{made['id']}", 404)
    owner.call("DELETE", f"/tokens/{made['id']}", 204)
    owner.delete(f"/tokens/{made['id']}", 404)
    eventually("the token to be refused", lambda: caller.send("GET", "/auth/me").status_code == 401, 5)


def test_a_token_has_no_more_than_its_owner(platform: Platform) -> None:
    member = platform.as_a("member")

    for role in ("maintainer", "admin"):
        assert member.send("POST", "/tokens", json={"name": "more", "role": role}).status_code in {400, 403}
    assert set(faults(member.post("/tokens", {"name": "x", "role": "king"}, 400))) == {"role"}
    assert set(
        faults(member.post("/tokens", {"name": "x", "role": "viewer", "expiresAt": "2020-01-01T00:00:00Z"}, 400))
    ) == {"expiresAt"}


def test_an_admin_makes_changes_and_deletes_users(platform: Platform, admin: Caller) -> None:
    name = platform.name("user").replace(" ", "-")
    made = admin.post("/users", {"username": name, "password": PASSWORD, "role": "viewer"}, 201)["user"]
    assert made["username"] == name
    assert made["role"] == "viewer"
    assert "password" not in str(made).lower()
    admin.post("/users", {"username": name, "password": PASSWORD, "role": "viewer"}, 409)
    user = platform.login(name)
    assert user.post("/tasks", {"projectId": platform.project()["id"], "title": "x"}, 403)

    changed = admin.patch(f"/users/{made['id']}", {"role": "member"})["user"]

    assert changed["role"] == "member"
    eventually(
        "the new role to count",
        lambda: platform.login(name).send("GET", "/auth/me").json()["user"]["role"] == "member",
        5,
    )
    admin.patch(f"/users/{made['id']}", {"password": "another password, longer"})
    platform.login(name, "another password, longer")
    platform.anybody.post("/auth/login", {"username": name, "password": PASSWORD}, 401)
    assert admin.send("DELETE", f"/users/{made['id']}").status_code in {200, 204}
    admin.delete(f"/users/{made['id']}", 404)
    platform.anybody.post("/auth/login", {"username": name, "password": "another password, longer"}, 401)
    eventually("the tokens to be refused", lambda: user.send("GET", "/auth/me").status_code == 401, 5)


@pytest.mark.parametrize("role", ["viewer", "maintainer"])
def test_only_admins_see_users(platform: Platform, role: str) -> None:
    caller = platform.as_a(role)

    assert caller.get("/users", 403) == {"error": "Forbidden"}
    caller.post("/users", {"username": "mallory", "password": PASSWORD, "role": "admin"}, 403)
    caller.patch(f"/users/{caller.user['id']}", {"role": "admin"}, 403)
    caller.delete(f"/users/{caller.user['id']}", 403)
    caller.post("/agents/enrolment-tokens", status=403)


def test_an_enrolment_token_registers_agents_and_does_nothing_else(platform: Platform, admin: Caller) -> None:
    made = admin.post("/agents/enrolment-tokens", status=201)["enrolmentToken"]
    assert {"id", "expiresAt", "token"} <= set(made)
    check_time(made["expiresAt"])
    enrolment = admin.bearing(made["token"])
    assert enrolment.send("GET", "/projects").status_code in {401, 403}

    reply = enrolment.post(
        "/runner/register",
        {"podName": "enrolled", "capabilities": ["x"], "driver": "scripted", "version": "1", "slots": 1},
        201,
    )

    assert set(reply) == {"agent", "token"}
    assert AGENT_ID.fullmatch(reply["agent"]["id"])
    agent = admin.bearing(reply["token"])
    for path in ("/projects", "/tasks", "/users", "/agents", "/jobs", "/events"):
        assert agent.send("GET", path).status_code in {401, 403}, path
    assert admin.send("POST", "/runner/heartbeat", json={"runIds": []}).status_code in {401, 403}
