"""Tasks that are parked while the provider of their models takes no calls: they cost nothing, keep their session, go on
by themselves, and people may do with them what they do with others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.models import Agent, Run, Task
from common.services.runs import run_end
from common.services.spend.provider_limits import mark_limited
from common.transaction import Transaction, transactional
from common.values.states import Role
from tests.web.world import World, events, get, put
from workers import sweeps

REASON = "main: Overloaded"


class Shop:
    """A task, and the run that works on it."""

    def __init__(self, world: World, **values: Any) -> None:
        self.world = world
        self.project = world.project(has_repository=True, **values)
        self.task_id: str = world.task(self.project).id
        self.mia: FlaskClient = world.client_of("mia", Role.MEMBER)
        self.agent, self.agent_id = world.agent()
        self.claim_next()

    def claim_next(self) -> dict[str, Any]:
        self.run, self.claim = self.world.claim(self.agent)
        self.run_id: str = self.claim["run"]["id"]
        self.agent.post("/api/runner/heartbeat", json={"runIds": [self.run_id]})
        return self.claim

    def limit(self, seconds: float = 3600) -> datetime:
        """What the gateway does when the provider refuses a call of the run."""
        return mark_limited(self.run_id, datetime.now(UTC) + timedelta(seconds=seconds), REASON)

    def finish(self, outcome: str = "cancelled", *, is_cut_short: bool = True) -> None:
        body = {
            "outcome": outcome, "summary": "", "commitSha": "b" * 40, "reason": "API Error: 400",
            "cutShort": is_cut_short and outcome == "cancelled",
        }  # fmt: skip
        reply = self.run.post(f"/api/runner/runs/{self.run_id}/finish", json=body)
        assert reply.status_code == 200, reply.json

    def park(self, seconds: float = 3600) -> None:
        self.limit(seconds)
        self.finish()

    def keep_session(self) -> None:
        path = f"/api/runner/runs/{self.run_id}/session"
        assert self.run.put(path, data=b"kept", content_type="application/octet-stream").status_code == 204

    def post(self, verb: str, client: FlaskClient | None = None, **body: Any) -> Any:
        return (client or self.mia).post(f"/api/tasks/{self.task_id}/{verb}", json=body)

    def read(self) -> dict[str, Any]:
        task: dict[str, Any] = self.mia.get(f"/api/tasks/{self.task_id}").json["task"]
        return task

    def row(self) -> Task:
        task: Task = get(Task, self.task_id)
        return task

    def time_comes(self) -> None:
        put(Task, self.task_id, parked_until=datetime.now(UTC) - timedelta(seconds=1))


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


# Parking


@pytest.mark.slow
def test_the_task_of_a_limited_run_is_parked(shop: Shop) -> None:
    until = shop.limit()
    shop.finish("failed")

    task = shop.read()
    assert (task["state"], task["phase"], task["assignedAgentId"]) == ("in_progress", "parked", None)
    assert task["parked"]["code"] == "limit"
    assert REASON in task["parked"]["reason"]
    at = datetime.fromisoformat(task["parked"]["until"])
    assert timedelta(0) <= at - until.replace(microsecond=0) <= run_end.MOST_SPREAD + timedelta(seconds=1)
    assert shop.mia.get("/api/tasks").json["tasks"][0]["parked"] == task["parked"]
    row = shop.row()
    assert (row.attempts, row.losses, row.error) == (0, 0, None)
    assert get(Agent, shop.agent_id).state == "idle"
    assert get(Run, shop.run_id).is_cut_short is False
    (event,) = events("task:updated", task=shop.task_id, what='"parked"')
    assert '"phase"' in event.data


def test_a_limited_run_whose_agent_is_lost_is_parked_too(shop: Shop) -> None:
    shop.limit()
    _lose(shop.run_id)

    assert shop.row().phase == "parked"
    assert shop.row().attempts == 0


@transactional
def _lose(tx: Transaction, run_id: str) -> None:
    assert run_end.lose_runs(tx, [run_id], "its agent is silent") == 1


# Going on


@pytest.mark.slow
def test_it_goes_on_by_itself_when_its_time_has_come(shop: Shop) -> None:
    shop.keep_session()
    shop.park()
    sweeps.sweep_agents()
    assert shop.row().phase == "parked"
    shop.time_comes()

    sweeps.sweep_agents()

    task = shop.read()
    assert (task["phase"], task["parked"]) == ("queued", None)
    claim = shop.claim_next()
    assert claim["task"]["id"] == shop.task_id
    assert claim["hasSession"] is True
    assert claim["prompt"].startswith("Your last turn was interrupted: the provider of your model took no calls")
    assert "The last run was interrupted" in claim["freshPrompt"]


def test_a_member_lets_it_go_on_at_once(shop: Shop) -> None:
    shop.park()

    reply = shop.post("resume")

    assert reply.status_code == 200
    assert (reply.json["task"]["phase"], reply.json["task"]["parked"]) == ("queued", None)
    again = shop.post("resume")
    assert again.status_code == 409
    assert "only a parked task can be resumed" in str(again.json)


def test_a_cap_that_still_holds_keeps_it_parked(shop: Shop) -> None:
    shop.park()
    put(Task, shop.task_id, parked_code="cap", caps={"runs": 1})

    reply = shop.post("resume")

    assert reply.status_code == 409
    assert "a cap of spending leaves task" in str(reply.json)
    assert shop.row().phase == "parked"
    put(Task, shop.task_id, caps={"runs": 2})
    assert shop.post("resume").status_code == 200


# What people do with it
