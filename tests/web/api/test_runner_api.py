"""The agents' side of the API: enrolment, claims, reports, and how a run ends."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.jobs.catalogue import PREPARE_RUN, SCHEDULE_TASKS
from common.models import Agent, Project, Question, Run, Task
from common.services.tasks import tasks
from common.values.states import Role
from tests import builders
from tests.web.api.test_drivers import a_provider
from tests.web.world import World, all_of, get, put, run_jobs
from web.api.run_claims import AGENT_TOKEN, PROCESS

REGISTRATION = {"podName": "pod-1", "capabilities": ["python"], "driver": "scripted", "version": "1.0", "slots": 1}


def start(world: World, **values: Any) -> tuple[FlaskClient, FlaskClient, dict[str, Any]]:
    """A task that an agent has claimed: the agent's client, the run's, and the claim."""
    project = world.project(has_repository=True, limits={"maxCostUsd": 5, "maxMinutes": 60}, test_command="true")
    world.task(project, **values)
    agent, _agent_id = world.agent()
    run, claim = world.claim(agent)
    return agent, run, claim


def path_of(claim: dict[str, Any]) -> str:
    return f"/api/runner/runs/{claim['run']['id']}"


def test_a_claim_holds_all_that_the_runner_needs(world: World) -> None:
    _agent, _run, claim = start(
        world, title="Say hello", description="In bold", labels=["ui"], limits={"maxMinutes": 5}, driver="scripted"
    )

    task = claim["task"]
    assert (task["title"], task["description"], task["labels"]) == ("Say hello", "In bold", ["ui"])
    assert task["priority"] == "medium"
    assert task["branchName"] == claim["clone"]["branch"]
    assert claim["project"]["testCommand"] == "true"
    assert claim["clone"]["url"].endswith("/git/aiworker/demo.git")
    assert claim["clone"]["baseBranch"] == "main"
    assert claim["clone"]["password"]
    assert claim["limits"] == {"maxCostUsd": 5, "maxMinutes": 5}
    assert (claim["run"]["round"], claim["driver"], claim["hasSession"], claim["feedback"]) == (
        1,
        "scripted",
        False,
        [],
    )
    assert "Say hello" in claim["prompt"]


def test_a_run_is_handed_out_again_until_a_heartbeat_names_it(world: World) -> None:
    agent, _run, claim = start(world)

    again = agent.post("/api/runner/claim", json={})
    assert again.json == claim
    agent.post("/api/runner/heartbeat", json={"runIds": [claim["run"]["id"]]})
    assert agent.post("/api/runner/claim", json={}).status_code == 204


def test_a_run_reaches_itself_alone(world: World) -> None:
    agent, run, claim = start(world)
    other = builders.client_with(world.app, builders.a_token(world.users["maxim"]))
    foreign = "/api/runner/runs/00000000-0000-7000-8000-000000000000"

    assert run.post(f"{foreign}/logs", json={"lines": []}).status_code == 404
    assert agent.post(f"{path_of(claim)}/logs", json={"lines": []}).status_code == 401
    assert other.post(f"{path_of(claim)}/logs", json={"lines": []}).status_code == 403
    assert run.get("/api/projects").status_code in {401, 403}
    assert run.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 401


def claim_agent(claim: dict[str, Any]) -> str:
    agent_id: str = get(Run, claim["run"]["id"]).agent_id
    return agent_id


@pytest.mark.parametrize(("field", "value"), [("level", "loud"), ("at", "yesterday")])
def test_a_line_that_is_none_is_refused_by_its_place(world: World, field: str, value: Any) -> None:
    _agent, run, claim = start(world)
    line = {"level": "info", "message": "fine", field: value}
    reply = run.post(f"{path_of(claim)}/logs", json={"lines": [line]})
    assert (reply.status_code, reply.json["details"]["field"]) == (400, f"lines.0.{field}")


def test_usage_only_grows(world: World) -> None:
    _agent, run, claim = start(world)
    usage = {"inputTokens": 10, "outputTokens": 5, "cachedTokens": 1, "costUsd": 0.25}
    assert run.post(f"{path_of(claim)}/usage", json=usage).json == {}
    assert run.post(f"{path_of(claim)}/usage", json=usage | {"inputTokens": 4}).json == {}
    assert get(Run, claim["run"]["id"]).usage == usage

    assert run.post(f"{path_of(claim)}/progress", json={"message": "Half", "done": 1, "total": 2}).json == {}


@pytest.mark.slow
def test_a_session_is_bytes_up_to_a_limit(world: World) -> None:
    _agent, run, claim = start(world)
    path = f"{path_of(claim)}/session"
    assert run.get(path).status_code == 404

    archive = os.urandom(16 * 2**20)
    assert run.put(path, data=archive, content_type="application/octet-stream").status_code == 204
    reply = run.get(path)
    assert (reply.content_type, reply.data) == ("application/octet-stream", archive)

    assert run.put(path, data=archive + b"x", content_type="application/octet-stream").status_code == 413
    assert run.put(path, data=b"{}", content_type="application/json").status_code == 415
    assert run.get(path).data == archive


def test_a_completed_run_is_to_be_proven_and_its_repeated_report_is_the_same_reply(world: World) -> None:
    _agent, run, claim = start(world)
    report = {"outcome": "completed", "commitSha": "b" * 40, "summary": "done"}

    first = run.post(f"{path_of(claim)}/finish", json=report)

    assert first.status_code == 200
    assert (first.json["run"]["state"], first.json["run"]["commitSha"]) == ("ended", "b" * 40)
    task = get(Task, claim["task"]["id"])
    assert (task.state, task.phase) == ("in_progress", "verifying")
    assert get(Agent, claim_agent(claim)).state == "idle"
    assert run.post(f"{path_of(claim)}/finish", json=report).json == first.json
    other = run.post(f"{path_of(claim)}/finish", json=report | {"summary": "else"})
    assert other.status_code == 409


def test_a_report_with_the_agents_token_is_answered_with_its_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing prepares the next run before the test does.
    monkeypatch.setattr(sys.modules["web.api.run_claims"], "PREPARE_SECONDS", 0)
    agent, run, claim = start(world)
    agent.post("/api/runner/heartbeat", json={"runIds": [claim["run"]["id"]]})
    following = world.task(get(Project, claim["project"]["id"]))
    report, asking = {"outcome": "failed", "summary": "no way"}, {AGENT_TOKEN: token_of(agent)}

    assert "next" not in run.post(f"{path_of(claim)}/finish", json=report, headers=asking).json
    assert get(Task, following.id).state == "in_progress", "assigned without a pass of the scheduler"
    run_jobs(PREPARE_RUN)
    again = run.post(f"{path_of(claim)}/finish", json=report, headers=asking).json

    assert again["run"]["state"] == "ended"
    assert again["next"]["task"]["id"] == following.id
    assert agent.post("/api/runner/claim", json={}).json == again["next"], "the reply may have been lost"


def test_only_the_agents_own_token_is_answered_with_a_next_run(world: World) -> None:
    _agent, run, claim = start(world)
    world.task(get(Project, claim["project"]["id"]))
    other, _other_id = world.agent()
    report = {"outcome": "failed", "summary": "no way"}

    for token in (None, claim["run"]["token"], token_of(other), "nonsense"):
        asking = {} if token is None else {AGENT_TOKEN: token}
        reply = run.post(f"{path_of(claim)}/finish", json=report, headers=asking)
        assert (reply.status_code, "next" in reply.json) == (200, False)


def token_of(client: FlaskClient) -> str:
    return str(client.environ_base["HTTP_AUTHORIZATION"]).removeprefix("Bearer ")


@pytest.mark.parametrize(("outcome", "state"), [("failed", "failed"), ("cancelled", "backlog"), ("waiting", "backlog")])
def test_a_run_that_did_not_complete_gives_its_task_back(world: World, outcome: str, state: str) -> None:
    _agent, run, claim = start(world)
    report = {"outcome": outcome, "summary": "stopped", "reason": "no way"}
    assert run.post(f"{path_of(claim)}/finish", json=report).status_code == 200
    assert get(Task, claim["task"]["id"]).state == state


def test_a_run_can_not_call_itself_lost(world: World) -> None:
    _agent, run, claim = start(world)
    reply = run.post(f"{path_of(claim)}/finish", json={"outcome": "lost", "summary": ""})
    assert (reply.status_code, reply.json["details"]["field"]) == (400, "outcome")
    for field, wrong in (("commitSha", "abc"), ("cutShort", "yes")):
        reply = run.post(f"{path_of(claim)}/finish", json={"outcome": "completed", "summary": "", field: wrong})
        assert (reply.status_code, reply.json["details"]["field"]) == (400, field)


def test_a_heartbeat_is_told_to_drop_cancelled_and_unknown_runs(world: World) -> None:
    agent, _run, claim = start(world)
    run_id, unknown = claim["run"]["id"], "00000000-0000-7000-8000-000000000000"
    assert agent.post("/api/runner/heartbeat", json={"runIds": [run_id]}).json["directives"] == []

    tasks.cancel_task(claim["task"]["id"], by=world.max)

    told = agent.post("/api/runner/heartbeat", json={"runIds": [run_id, unknown]}).json["directives"]
    assert told == [{"runId": run_id, "do": "cancel"}, {"runId": unknown, "do": "cancel"}]


@pytest.mark.slow
def test_a_claim_has_all_that_the_project_and_the_providers_give(world: World) -> None:
    a_provider("anthropic")
    project = world.project(has_repository=True)
    put(
        type(project), project.id, setup_command="npm ci", cache_paths=["node_modules"],
        services=[{"kind": "postgresql", "version": "16"}, {"kind": "redis"}],
        egress="registries", egress_hosts=["packages.example.com"],
    )  # fmt: skip
    world.task(project, driver="claude", model="claude-sonnet-4-5")
    agent, _agent_id = world.agent(drivers=["claude"])

    _run, claim = world.claim(agent)

    assert (claim["driver"], claim["model"], claim["setupCommand"]) == ("claude", "claude-sonnet-4-5", "npm ci")
    assert claim["cachePaths"] == ["node_modules"]
    assert claim["services"] == [{"kind": "postgresql", "version": "16"}, {"kind": "redis", "version": None}]
    assert claim["attachments"] == []
    assert claim["network"] == {"egress": "registries", "hosts": ["packages.example.com"]}
    assert set(claim["models"]["addresses"]) == {"anthropic"}
    assert claim["models"]["token"].startswith("awm_")
    assert claim["models"]["token"] != claim["run"]["token"]
    assert agent.post("/api/runner/claim", json={}).json == claim


KEY = {"Idempotency-Key": "k 1"}


def twice(client: FlaskClient, path: str, body: Any, status: int, **headers: str) -> Any:
    first, second = (client.post(path, json=body, headers={**KEY, **headers}) for _ in "ab")
    assert (first.status_code, second.status_code) == (status, status), second.data
    assert second.data == first.data
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    return first.json


def test_a_question_with_a_key_gets_the_first_answer_again(world: World) -> None:
    _agent, run, claim = start(world)
    path = f"{path_of(claim)}/questions"

    twice(run, path, {"question": "Which color?"}, 201)

    assert len(all_of(Question)) == 1
    assert run.post(path, json={"question": "Which size?"}, headers=KEY).status_code == 422
    assert run.post(path, json={"question": "Which color?"}).status_code == 200


@pytest.mark.slow
def test_a_registration_that_is_repeated_because_its_answer_was_lost_adds_no_second_agent(world: World) -> None:
    enrolment = world.client_of("ada", Role.ADMIN).post("/api/agents/enrolment-tokens", json={})
    holder = builders.client_with(world.app, enrolment.json["enrolmentToken"]["token"])
    body = REGISTRATION | {"enrolmentId": "a" * 43}

    first, again, other = (
        holder.post("/api/runner/register", json=sent)
        for sent in (body, body | {"slots": 3}, body | {"enrolmentId": "b" * 43})
    )

    assert {reply.status_code for reply in (first, again, other)} == {201}
    assert (first.json["agent"]["id"], first.json["token"]) == (again.json["agent"]["id"], again.json["token"])
    assert other.json["token"] != first.json["token"]
    assert {agent.id: agent.slots for agent in all_of(Agent)} == {
        first.json["agent"]["id"]: 3, other.json["agent"]["id"]: 1,
    }  # fmt: skip
    agent = builders.client_with(world.app, again.json["token"])
    assert agent.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 200


def test_of_two_processes_with_one_identity_the_first_drops_the_run_that_both_were_given(world: World) -> None:
    world.task(world.project(has_repository=True))
    agent, _agent_id = world.agent()
    run_jobs(SCHEDULE_TASKS, PREPARE_RUN)

    def claim(process: str | None) -> FlaskClient:
        reply = agent.post("/api/runner/claim", json={}, headers={PROCESS: process} if process else {})
        assert (reply.status_code, reply.json["run"]["id"]) == (200, all_of(Run)[0].id)
        return builders.client_with(world.app, reply.json["run"]["token"])

    def progress(run: FlaskClient) -> int:
        path = f"/api/runner/runs/{all_of(Run)[0].id}/progress"
        return run.post(path, json={"message": "half"}).status_code

    of_older, of_first = claim(None), claim("first")
    again = claim("first")
    assert [progress(run) for run in (of_older, of_first, again)] == [200, 200, 200]

    of_second = claim("second")

    assert [progress(run) for run in (of_first, of_second)] == [401, 200]
    assert all_of(Run)[0].state == "running"
