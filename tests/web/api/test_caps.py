"""Caps of spending: set by people, counted once, told of in time; they end runs, and a raised one lets them go on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from common.jobs.catalogue import SCHEDULE_TASKS
from common.models import Agent, Project, Run, Task
from common.models.spend import SpendCounter
from common.services.caps.caps import minutes_left, reached_cap
from common.services.spend.model_calls import MadeCall, record_calls
from common.transaction import Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.runs.model_provider import TokenCount
from common.values.states import Role
from tests.web.api.questioning_run import QuestioningRun
from tests.web.world import World, all_of, events, get, put, run_jobs


def now() -> datetime:
    """Of the test, not of the file: a suite takes longer than some of these tests allow."""
    return datetime.now(UTC)


BYTES = "application/octet-stream"


def a_call(asking: QuestioningRun, tokens: int, cost_usd: float = 0.1, **values: Any) -> MadeCall:
    """Tokens that were read from a cache are not among those that are capped."""
    about = {
        "id": new_id(), "run_id": asking.claimed["run"]["id"], "task_id": asking.task_id,
        "project_id": asking.project.id, "person": "max", "driver": "claude", "provider": "anthropic",
        "model": "claude-x", "status": 200, "took_ms": 5, "at": now(), "count": TokenCount(tokens - 20, 900, 10, 10),
        "cost_usd": cost_usd, **values,
    }  # fmt: skip
    return MadeCall(**about)


def patch(client: FlaskClient, path: str, status: int = 200, **body: Any) -> Any:
    reply = client.patch(f"/api/{path}", json=body)
    assert reply.status_code == status, reply.json
    return reply.json


def parked(asking: QuestioningRun) -> tuple[str | None, str]:
    task = get(Task, asking.task_id)
    assert asking.state == ("in_progress", "parked"), (asking.state, task.error)
    return task.parked_until, task.parked_reason


def test_each_call_is_counted_once_for_its_task_project_and_platform(world: World) -> None:
    asking = QuestioningRun(world)
    at = now()
    first, second = a_call(asking, 100, at=at), a_call(asking, 40, at=at - timedelta(days=1))

    record_calls([first, first])
    record_calls([first, second])

    rows = all_of(SpendCounter, SpendCounter.scope == "platform", SpendCounter.period != "all")
    assert {row.period: row.tokens for row in rows} == {
        at.date().isoformat(): 100, (at.date() - timedelta(days=1)).isoformat(): 40,
    }  # fmt: skip
    totals = {row.scope: row for row in all_of(SpendCounter, SpendCounter.period == "all")}
    assert {(name, row.tokens, round(row.cost_usd, 6), row.runs) for name, row in totals.items()} == {
        ("task", 140, 0.2, 1), ("project", 140, 0.2, 1), ("platform", 140, 0.2, 1),
    }  # fmt: skip


def test_a_run_that_a_cap_ends_is_kept_and_goes_on_when_it_is_raised(world: World) -> None:
    asking = QuestioningRun(world)
    session = b"the session"
    assert asking.run.put(f"{asking.path}/session", data=session, content_type=BYTES).status_code == 204
    patch(world.client, f"tasks/{asking.task_id}", caps={"tokens": 1000, "runs": 5})
    record_calls([a_call(asking, 600), a_call(asking, 500, model="claude-y")])

    asking.finish("failed", reason="API Error: 400 A cap of spending is reached")

    until, reason = parked(asking)
    assert until is None
    assert reason == (
        "The task has used 1,100 of 1,000 tokens. A member can raise the task's cap: then the task goes on. "
        "Spent on: claude-x 600 tokens; claude-y 500 tokens."
    )
    task = get(Task, asking.task_id)
    assert (task.attempts, task.losses, task.error) == (0, 0, None)
    run_jobs(SCHEDULE_TASKS)
    assert asking.state == ("in_progress", "parked")

    patch(world.client, f"tasks/{asking.task_id}", caps={"tokens": 1100})
    parked(asking)
    shown = patch(world.client, f"tasks/{asking.task_id}", caps={"tokens": 2000, "runs": None})["task"]

    assert shown["caps"] == {"tokens": 2000}
    assert asking.state == ("in_progress", "queued")
    claim = asking.resume()
    assert claim["hasSession"]
    assert "Go on where you stopped" in claim["prompt"]
    assert asking.run.get(f"{asking.path}/session").data == session
    assert {"caps", "parked"} <= {
        name for row in events("task:updated", task=asking.task_id) for name in json.loads(row.data)["data"]["changed"]
    }  # fmt: skip


def test_a_run_that_is_cut_short_at_its_own_limit_fails_with_its_task(world: World) -> None:
    """To the runner, the gateway's refusal is a fault of the program. A further run would get the same limit anew."""
    asking = QuestioningRun(world, limits={"maxTokens": 1000, "maxCostUsd": 9})
    record_calls([a_call(asking, 600), a_call(asking, 400)])

    for _ in range(2):
        asking.finish("cancelled", cutShort=True, reason="claude failed: API Error: 400", commitSha="a" * 40)

    reason = "The run has used 1000 tokens; its limit is 1000 (maxTokens)"
    run, task = get(Run, asking.claimed["run"]["id"]), get(Task, asking.task_id)
    assert (run.outcome, run.reason, run.claimed_sha) == ("failed", reason, "a" * 40)
    assert (asking.state, task.error, task.losses) == (("failed", None), reason, 0)


@pytest.mark.usefixtures("within_a_day")
def test_a_days_cap_of_a_project_parks_until_midnight(world: World) -> None:
    asking = QuestioningRun(world)
    patch(world.client, f"projects/{asking.project.id}", caps={"day": {"costUsd": 1}, "task": {"tokens": 10**6}})
    record_calls([a_call(asking, 600, cost_usd=1.5)])
    asking.finish("failed")

    until, reason = parked(asking)

    midnight = datetime.combine(now().date() + timedelta(days=1), datetime.min.time(), UTC)
    assert until == midnight
    assert "has used 1.5000 of 1 USD today (UTC). A maintainer can raise the project's daily cap" in reason
    assert f"or it does so by itself on {midnight:%Y-%m-%d} at 00:00 UTC. Spent on: “Greet” 1.5000 USD." in reason
    with snapshot() as read:
        assert reached_cap(read, get(Task, asking.task_id)) is not None
    _make_yesterday()
    with snapshot() as read:
        assert reached_cap(read, get(Task, asking.task_id)) is None


@transactional
def _make_yesterday(tx: Transaction) -> None:
    yesterday = (now().date() - timedelta(days=1)).isoformat()
    tx.session.execute(update(SpendCounter).where(SpendCounter.period != "all").values(period=yesterday))


def test_a_platforms_cap_is_an_administrators(world: World) -> None:
    asking = QuestioningRun(world)
    admin = world.client_of("root", Role.ADMIN)
    assert admin.get("/api/caps").json["caps"] == {
        "task": {}, "day": {}, "total": {}, "changedBy": None, "changedAt": None, "uses": [],
    }  # fmt: skip
    assert patch(admin, "caps", total={"tokens": 500})["caps"]["total"] == {"tokens": 500}
    assert world.client.get("/api/caps").status_code == 403
    record_calls([a_call(asking, 600)])
    asking.finish("failed")
    assert "An administrator can raise the platform's cap" in parked(asking)[1]

    shown = patch(admin, "caps", total=None, day={"runs": 9})["caps"]

    assert (shown["total"], shown["day"], shown["changedBy"]) == ({}, {"runs": 9}, "root")
    assert asking.state == ("in_progress", "queued")


def test_no_run_begins_beyond_the_cap_of_runs(world: World) -> None:
    project = world.project(has_repository=True, caps={"total": {"runs": 2}})
    tasks = [world.task(project, f"Task {number}").id for number in range(4)]
    world.agent(slots=9)

    run_jobs(SCHEDULE_TASKS)

    assert sorted(get(Task, task_id).state_ for task_id in tasks) == ["backlog"] * 2 + ["in_progress"] * 2
    assert len(all_of(Run)) == 2
    waiting = [task for task in all_of(Task) if task.state_ == "backlog"]
    assert {task.error for task in waiting} == {
        "A cap of spending is reached: the project's cap is 2 runs. A maintainer can raise it: then the task begins."
    }
    told = len(events("task:updated", task=waiting[0].id))
    run_jobs(SCHEDULE_TASKS)
    assert len(events("task:updated", task=waiting[0].id)) == told

    patch(world.client, f"projects/{project.id}", caps={"total": {"runs": 3}})
    run_jobs(SCHEDULE_TASKS)

    assert len(all_of(Run)) == 3


@pytest.mark.usefixtures("within_a_day")
def test_people_are_warned_once_for_each_cap_and_again_after_it_was_raised(world: World) -> None:
    asking = QuestioningRun(world)
    patch(world.client, f"tasks/{asking.task_id}", caps={"tokens": 1000})
    patch(world.client, f"projects/{asking.project.id}", caps={"day": {"costUsd": 10}})
    record_calls([a_call(asking, 799, cost_usd=7.9)])
    assert events("spend:warning") == []
    assert _state(world, asking) == []

    for _ in range(3):
        record_calls([a_call(asking, 21, cost_usd=0.1)])

    (of_task, of_project) = sorted(map(_data, events("spend:warning")), key=lambda data: data["scope"], reverse=True)
    assert of_task == {
        "taskId": asking.task_id, "scope": "task", "cap": "tokens", "period": "total", "used": 820, "limit": 1000,
    }  # fmt: skip
    assert (of_project["scope"], of_project["period"], of_project["limit"]) == ("project", "day", 10)
    assert {(one["scope"], one["cap"], one["used"]) for one in _state(world, asking)} == {
        ("task", "tokens", 862), ("project", "costUsd", 8.2),
    }  # fmt: skip
    patch(world.client, f"tasks/{asking.task_id}", caps={"tokens": 1050})
    record_calls([a_call(asking, 21)])
    assert [_data(row)["limit"] for row in events("spend:warning") if _data(row)["scope"] == "task"] == [1000, 1050]


def _state(world: World, asking: QuestioningRun) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = world.client.get(f"/api/tasks/{asking.task_id}").json["task"]["capState"]
    return [{**one, "used": round(one["used"], 4)} for one in shown]


def _data(row: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(row.data)["data"]
    return {name: value for name, value in data.items() if name not in {"projectId", "seq", "at"}}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("tasks", {"caps": {"tokens": 0}}, "caps.tokens"),
        ("tasks", {"caps": {"euros": 5}}, "caps.euros"),
        ("projects", {"caps": {"day": {"runs": -1}}}, "caps.day.runs"),
    ],
)
def test_a_cap_that_is_none_is_refused_by_its_name(plain_app: Flask, path: str, body: Any, field: str) -> None:
    world = World(plain_app)
    project = world.project()
    task = world.task(project)
    subject = task.id if path == "tasks" else project.id

    reply = patch(world.client, f"{path}/{subject}", status=400, **body)

    assert reply["details"]["field"] == field
    assert (get(Task, task.id).caps, get(Project, project.id).caps) == ({}, {})


def test_who_may_set_which_caps(world: World) -> None:
    project = world.project()
    task = world.task(project)
    viewer, member = world.client_of("vic", Role.VIEWER), world.client_of("mia", Role.MEMBER)

    patch(viewer, f"tasks/{task.id}", status=403, caps={"tokens": 5})
    patch(member, f"tasks/{task.id}", caps={"tokens": 5})
    patch(member, f"projects/{project.id}", status=403, caps={"day": {"tokens": 5}})
    patch(member, "caps", status=403, day={"tokens": 5})
    made = member.post("/api/tasks", json={"projectId": project.id, "title": "New", "caps": {"costUsd": 0.5}})
    assert made.json["task"]["caps"] == {"costUsd": 0.5}
    assert world.client.get(f"/api/projects/{project.id}").json["project"]["caps"] == {}


NIGHT = timedelta(hours=9)


def over_night(asking: QuestioningRun) -> str:
    """The run was at work for ten minutes, and its machine has been off since. Returns the run's id."""
    run_id = str(asking.claimed["run"]["id"])
    asking.agent.post("/api/runner/heartbeat", json={"runIds": [run_id]})
    seen_at = datetime.now(UTC) - NIGHT
    put(Run, run_id, started_at=seen_at - timedelta(minutes=10), seen_at=seen_at)
    put(Agent, asking.agent_id, seen_at=seen_at)
    return run_id


def minutes_of_task(asking: QuestioningRun) -> float:
    spent = asking.world.client.get(f"/api/tasks/{asking.task_id}").json["task"]["spent"]
    return float(spent["minutes"])


def test_a_machine_that_was_off_uses_up_no_minutes(world: World) -> None:
    asking = QuestioningRun(world)
    run_id = over_night(asking)

    asking.agent.post("/api/runner/heartbeat", json={"runIds": []})

    run = get(Run, run_id)
    assert (run.outcome, run.reason) == ("lost", "its agent was restarted")
    assert minutes_of_task(asking) == 10
    counted = {(row.scope, row.period == "all"): row.seconds for row in all_of(SpendCounter, SpendCounter.seconds > 0)}
    assert {key: round(value) for key, value in counted.items() if key[1]} == {
        ("task", True): 600, ("project", True): 600, ("platform", True): 600,
    }  # fmt: skip


def test_a_run_has_the_time_that_the_tightest_cap_leaves(plain_world: World) -> None:
    project = plain_world.project(caps={"total": {"minutes": 60}})
    task_id = plain_world.task(project, caps={"minutes": 20}).id
    with snapshot() as read:
        assert minutes_left(read, read.get(Task, task_id), read.get(Project, project.id)) == 20
