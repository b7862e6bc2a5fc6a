"""An agent's POST with an Idempotency-Key has one answer, which is given again, as a person's has."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from common.jobs import PREPARE_RUN, SCHEDULE_TASKS
from common.models import Agent, Question, Run
from common.models.journal import IdempotencyKey
from common.states import Role
from tests import builders
from tests.web.api.test_runner_api import REGISTRATION, path_of, start
from tests.web.world import World, all_of, run_jobs
from web.api.run_claims import AGENT_TOKEN, PROCESS

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


def test_a_claim_and_a_report_with_a_key_are_answered_alike_again(world: World) -> None:
    agent, run, claim = start(world)
    agent.post("/api/runner/heartbeat", json={"runIds": [claim["run"]["id"]]})
    twice(agent, "/api/runner/claim?wait=1", {}, 204)
    world.task(world.project("Other", has_repository=True))
    token = agent.environ_base["HTTP_AUTHORIZATION"].partition(" ")[2]

    report = {"outcome": "failed", "summary": "no"}
    ended = twice(run, f"{path_of(claim)}/finish", report, 200, **{AGENT_TOKEN: token})

    assert ended["run"]["outcome"] == "failed"
    # An agent and a run have keys of their own.
    assert {row.caller for row in all_of(IdempotencyKey)} == {
        f"agent:{claim['run'].get('agentId') or ended['run']['agentId']}", f"run:{claim['run']['id']}",
    }  # fmt: skip


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
