"""The WebSocket: who may listen, what comes, what comes again, and when it is closed."""

from __future__ import annotations

from typing import Any

from tests.e2e.contract.caller import Caller, check_time
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.contract.platform import Platform
from tests.e2e.contract.sockets import opened

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
