"""The WebSocket: who may listen, what comes, what comes again, and when it is closed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.contract.caller import Caller, check_time
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.contract.platform import ON_ONE_DATABASE, PASSWORD, Platform
from tests.e2e.contract.sockets import Socket, opened

Json = Any
EXACT = {
    "task:created": {"taskId", "projectId", "title"},
    "task:status_changed": {"taskId", "oldState", "newState"},
    "task:needs_input": {"taskId", "questionId", "question"},
    "agent:status": {"agentId", "status", "lastTaskId"},
    "deploy:started": {"deploymentId", "environment"},
    "deploy:completed": {"deploymentId", "environment", "url"},
}
MAYBE = {"task:status_changed": {"previewUrl"}}


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    "first",
    [
        '{"event": "auth", "data": {"token": "nonsense"}}', '{"event": "auth"}',
    ],
)  # fmt: skip
def test_a_wrong_token_closes_with_4401(platform: Platform, first: str) -> None:
    with opened(platform.url) as socket:
        socket.connection.send(first)

        assert socket.close_code() == 4401
        assert [message["event"] for message in socket.seen] == ["auth:error"]


def test_subscribing_before_auth_gives_nothing(platform: Platform) -> None:
    project = platform.project()
    with opened(platform.url) as socket:
        socket.say("subscribe", projectId=project["id"], afterSeq=0)

        assert socket.hear()["event"] in {"error", "auth:error"}
        assert not socket.durable()


@pytest.mark.usefixtures("agent")  # else tasks say that none is there: those of other tests have fallen silent
def test_what_was_missed_comes_first_and_once(platform: Platform, admin: Caller) -> None:
    project = platform.new_project()
    missed = [platform.new_task(project, title=f"Missed {number}")["id"] for number in range(3)]
    with opened(platform.url) as socket:
        socket.authenticate(admin.token)
        socket.subscribe(project["id"], afterSeq=0)
        live = platform.new_task(project, title="Live")["id"]
        socket.wait("task:created", lambda data: data["taskId"] == live)

        assert [message["data"]["taskId"] for message in socket.of("task:created")] == [*missed, live]
        assert [message["seq"] for message in socket.durable()] == list(range(1, len(socket.durable()) + 1))
        rows = admin.get("/events", projectId=project["id"])["events"]
        assert [row["data"] for row in rows] == [message["data"] for message in socket.durable()]
        socket.say("unsubscribe", projectId=project["id"])
        socket.wait("unsubscribed", lambda data: data["projectId"] == project["id"])
        last = platform.new_task(project)["id"]
        again = socket.subscribe(platform.project()["id"])
        assert isinstance(again["data"]["seq"], int)
        sign = platform.new_task(platform.project())["id"]
        socket.wait("task:created", lambda data: data["taskId"] == sign)
        assert last not in {message["data"]["taskId"] for message in socket.of("task:created")}


def test_every_event_of_the_founding_document_comes_as_it_shows(
    platform: Platform, admin: Caller, agent: FakeAgent
) -> None:
    project = platform.deployable()
    with opened(platform.url) as socket:
        socket.authenticate(admin.token)
        socket.subscribe(project["id"], afterSeq=0)
        task = platform.new_task(project, agent)
        run = agent.claim()
        socket.say("follow", taskId=task["id"])
        run.api.post(f"{run.path}/logs", {"lines": [{"level": "info", "message": "before"}]})
        asked = run.api.post(f"{run.path}/questions", {"question": "Which library?"}, 201)["question"]
        socket.wait("task:needs_input")
        admin.post(f"/tasks/{task['id']}/respond", {"questionId": asked["id"], "response": "x"})
        socket.wait("question:answered")
        run.api.post(f"{run.path}/logs", {"lines": [{"level": "info", "message": "followed"}]})
        run.api.post(f"{run.path}/progress", {"message": "half", "done": 1, "total": 2})
        log = socket.wait("task:log", lambda data: data["entries"][-1]["message"] == "followed")
        progress = socket.wait("task:progress")
        run.complete({"greeting.txt": "hola\n"})
        ready = socket.wait("task:status_changed", lambda data: data["newState"] == "ready_to_test", 45)
        admin.post(f"/tasks/{task['id']}/approve")
        group = platform.new_group(project, platform.task(task["id"]), name="All")
        admin.post(f"/task-groups/{group['id']}/deploy-staging", status=202)
        socket.wait("task-group:status_changed", lambda data: data["newStatus"] == "staging", 45)
        socket.wait("deploy:completed", lambda data: data["environment"] == "staging")
        socket.wait("task:status_changed", lambda data: data["newState"] == "staging")
        socket.wait("task:status_changed", lambda data: data["newState"] == "staging")

    assert log["data"].keys() == {"taskId", "runId", "entries"}
    assert progress["data"] == {"taskId": task["id"], "runId": run.id, "message": "half", "done": 1, "total": 2}
    assert "seq" not in log
    assert ready["data"]["previewUrl"].startswith("http")
    for name, keys in EXACT.items():
        came = socket.of(name)
        assert came, f"no {name} came"
        for message in came:
            assert message.keys() == {"event", "data", "projectId", "seq", "at"}, message
            assert message["projectId"] == project["id"]
            assert keys <= message["data"].keys() <= keys | MAYBE.get(name, set()), message
            check_time(message["at"])
    assert {message["data"]["status"] for message in socket.of("agent:status")} == {"busy", "idle"}
    assert {message["data"]["lastTaskId"] for message in socket.of("agent:status")} == {task["id"]}
    states = [message["data"]["newState"] for message in socket.of("task:status_changed")]
    assert states == ["in_progress", "needs_input", "in_progress", "ready_to_test", "approved", "staging"]
    assert socket.of("project:status_changed")
    assert [message["seq"] for message in socket.durable()] == list(range(1, len(socket.durable()) + 1))


def test_following_everything_shows_only_what_may_be_seen(platform: Platform, admin: Caller) -> None:
    closed, free = platform.new_project(restricted=True), platform.project()
    with opened(platform.url) as socket:
        socket.authenticate(platform.as_a("viewer").token)
        socket.say("subscribe")
        socket.wait("subscribed")
        socket.say("subscribe", projectId=closed["id"])
        socket.wait("error")
        secret = platform.new_task(closed)["id"]
        sign = platform.new_task(free)["id"]
        socket.wait("task:created", lambda data: data["taskId"] == sign)

    assert secret not in str(socket.seen)


def _closes_in_time(socket: Socket) -> None:
    assert socket.close_code(8) == 4401


def test_logout_closes_the_users_sockets(platform: Platform) -> None:
    user = platform.new_user("viewer")
    login = platform.login(user.user["username"], PASSWORD)
    with opened(platform.url) as socket, opened(platform.url) as kept:
        socket.authenticate(login.token)
        kept.authenticate(user.token)
        login.send("POST", "/auth/logout", json={})

        _closes_in_time(socket)
        kept.subscribe(platform.project()["id"])


def test_a_revoked_token_closes_its_socket(platform: Platform) -> None:
    user = platform.new_user("viewer")
    made = user.post("/tokens", {"name": "x", "role": "viewer"}, 201)["token"]
    with opened(platform.url) as socket:
        socket.authenticate(made["token"])
        user.delete(f"/tokens/{made['id']}", 204)

        _closes_in_time(socket)


def test_access_that_ends_ends_the_subscription(platform: Platform, admin: Caller) -> None:
    project, user = platform.new_project(restricted=True), platform.new_user("member")
    member = f"/projects/{project['id']}/members/{user.user['id']}"
    admin.put(member, {"role": "member"})
    with opened(platform.url) as socket:
        socket.authenticate(user.token)
        socket.subscribe(project["id"])
        admin.send("DELETE", member)
        socket.wait("unsubscribed", lambda data: data["projectId"] == project["id"])
        platform.new_task(project)
        socket.subscribe(platform.project()["id"])

    assert not socket.of("task:created")
