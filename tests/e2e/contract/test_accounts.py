"""Logging in, tokens, users."""

from __future__ import annotations

import pytest

from tests.e2e.contract.caller import AGENT_ID, Caller, check_time
from tests.e2e.contract.platform import PASSWORD, Platform


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
