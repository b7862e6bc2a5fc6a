"""Agents as people see them at the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from common.models import Agent, Mark, Project
from common.services.agents.agents import end_drains, expire_agents
from common.services.agents.driver_reports import AgentReport, SandboxReport, show_report
from common.services.agents.waiting_tasks import AGENT_LOST_SECONDS
from common.values.states import Role
from tests.e2e.instance import wait_until
from tests.web.world import World, all_of, get, put, served

MISSING = "agent-000000000000"


@pytest.mark.slow
def test_a_busy_agent_names_its_task_to_those_who_may_see_it(world: World) -> None:
    project = world.project(has_repository=True)
    task = world.task(project)
    agent, agent_id = world.agent()
    run, claim = world.claim(agent)
    path = f"/api/runner/runs/{claim['run']['id']}"
    run.post(f"{path}/logs", json={"lines": [{"level": "info", "message": "reading"}]})
    viewer, admin = world.client_of("vic", Role.VIEWER), world.client_of("ada", Role.ADMIN)

    shown = viewer.get(f"/api/agents/{agent_id}").json["agent"]
    assert (shown["status"], shown["currentTaskId"]) == ("busy", task.id)
    assert [line["message"] for line in shown["logs"]] == ["reading"]

    put(Project, project.id, is_restricted=True)
    hidden = viewer.get(f"/api/agents/{agent_id}").json["agent"]
    assert (hidden["status"], hidden["currentTaskId"], hidden["logs"]) == ("busy", None, [])
    assert viewer.get("/api/agents").json["agents"][0]["currentTaskId"] is None
    assert viewer.get(f"/api/agents/{agent_id}/logs").json == {"logs": []}
    assert admin.get(f"/api/agents/{agent_id}").json["agent"]["currentTaskId"] == task.id

    run.post(f"{path}/finish", json={"outcome": "completed", "summary": "done", "commitSha": "b" * 40})
    done = admin.get(f"/api/agents/{agent_id}").json["agent"]
    assert (done["status"], done["currentTaskId"], done["tasksCompleted"]) == ("idle", None, 1)


def test_logs_are_the_newest_oldest_first_and_by_level(world: World) -> None:
    world.task(world.project(has_repository=True))
    agent, agent_id = world.agent()
    run, claim = world.claim(agent)
    lines = [{"level": "error" if n % 50 == 0 else "debug", "message": str(n)} for n in range(150)]
    run.post(f"/api/runner/runs/{claim['run']['id']}/logs", json={"lines": lines})

    def messages(query: str = "") -> list[str]:
        return [line["message"] for line in world.client.get(f"/api/agents/{agent_id}/logs{query}").json["logs"]]

    assert messages() == [str(n) for n in range(50, 150)]
    assert messages("?limit=2") == ["148", "149"]
    assert messages("?level=error") == ["0", "50", "100"]
    assert messages("?level=warn") == []
    for wrong in ("limit=0", "limit=many", "level=loud", "tail=1"):
        assert world.client.get(f"/api/agents/{agent_id}/logs?{wrong}").status_code == 400


def test_an_agent_at_work_is_removed_only_after_its_run(world: World) -> None:
    world.task(world.project(has_repository=True))
    agent, agent_id = world.agent()
    run, claim = world.claim(agent)
    admin = world.client_of("ada", Role.ADMIN)

    refused = admin.delete(f"/api/agents/{agent_id}")
    assert (refused.status_code, "is busy" in refused.json["details"]["message"]) == (409, True)

    report = {"outcome": "cancelled", "summary": "stopped"}
    assert run.post(f"/api/runner/runs/{claim['run']['id']}/finish", json=report).status_code == 200
    removed = admin.delete(f"/api/agents/{agent_id}")
    assert (removed.status_code, removed.data) == (204, b"")
    assert admin.delete(f"/api/agents/{agent_id}").status_code == 404
    assert agent.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 401


def test_agents_work_again_when_their_drain_is_ended(world: World) -> None:
    agent, drained = world.agent()
    _pod, pod = world.agent()
    _idle, idle = world.agent()
    put(Agent, pod, state_="draining", is_pod=True)
    world.client.post(f"/api/agents/{drained}/drain", json={})

    end_drains([drained, pod, idle, MISSING])
    assert [get(Agent, one).state for one in (drained, pod, idle)] == ["offline", "draining", "idle"]
    assert agent.post("/api/runner/heartbeat", json={"runIds": []}).json["directives"] == []
    assert get(Agent, drained).state == "idle"


def fall_silent(agent_id: str) -> None:
    put(Agent, agent_id, seen_at=datetime.now(UTC) - timedelta(seconds=AGENT_LOST_SECONDS + 1))
    expire_agents()
    assert get(Agent, agent_id).state == "offline"


def beat(agent: FlaskClient, *run_ids: str) -> list[dict[str, str]]:
    reply = agent.post("/api/runner/heartbeat", json={"runIds": list(run_ids)})
    directives: list[dict[str, str]] = reply.json["directives"]
    return directives


def test_an_agent_that_was_drained_while_it_was_offline_drains_when_it_is_back(world: World) -> None:
    world.task(world.project(has_repository=True))
    agent, agent_id = world.agent()
    fall_silent(agent_id)
    world.client.post(f"/api/agents/{agent_id}/drain", json={})
    fall_silent(agent_id)

    assert beat(agent) == [{"do": "drain"}]
    assert get(Agent, agent_id).state == "draining"
    world.claim_nothing(agent)

    # It was told, and ended: who starts it again wants it to work.
    fall_silent(agent_id)
    assert beat(agent) == []
    world.claim(agent)


def test_a_server_says_that_it_hears_agents(world: World) -> None:
    def signs() -> list[Mark]:
        return all_of(Mark, Mark.name == "hearing")

    assert signs() == []
    with served():
        wait_until("a sign of the server", lambda: bool(signs()))


def test_an_agent_in_a_pod_of_the_platform_is_confined_by_it() -> None:
    off = SandboxReport(False, "AIWORKER_SANDBOX=off")
    shown = {}
    for is_pod in (False, True):
        agent = Agent(is_pod=is_pod, driver="claude")
        show_report(agent, AgentReport(("claude",), sandbox=off))
        shown[is_pod] = agent.sandbox and agent.sandbox["isConfining"]

    assert shown == {False: False, True: True}
