"""What was spent: grouped as asked, limited to what the caller sees, as JSON and CSV, and for each task."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models.run import Run
from common.models.task import Task
from common.services.projects.projects import put_member
from common.services.spend.model_calls import MadeCall, record_calls
from common.services.spend.totals import TaskSpend, spent_by_tasks
from common.transaction import snapshot
from common.values.names import new_id
from common.values.runs.model_provider import TokenCount
from common.values.states import Role
from tests import builders
from tests.web.factories import a_live_run, a_project, a_task, somebody
from tests.web.world import put

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
MARCH = "from=2026-03-01&to=2026-03-31"


def a_call(task: Task, run: Run | None = None, **values: Any) -> MadeCall:
    given = {
        "id": new_id(), "run_id": run.id if run else new_id(), "task_id": task.id, "project_id": task.project_id,
        "person": task.created_by, "driver": "claude", "provider": "anthropic", "model": "claude-x", "status": 200,
        "took_ms": 30_000, "at": NOON, "count": TokenCount(100, 1000, 10, 20), "cost_usd": 0.5,
    }  # fmt: skip
    return MadeCall(**{**given, **values})


def _groups(client: FlaskClient, query: str) -> dict[str, tuple[int, float]]:
    reply = client.get(f"/api/spend?{query}&{MARCH}")
    assert reply.status_code == 200, reply.json
    return {group["key"]: (group["tokens"], group["costUsd"]) for group in reply.json["groups"]}


@pytest.fixture
def shop(app: Flask) -> Task:
    return a_task(a_project("Shop"))


def test_calls_are_summed_by_what_is_asked_for(viewer: FlaskClient, shop: Task) -> None:
    other = a_task(a_project("Other"))
    record_calls([
        a_call(shop),
        a_call(shop, at=NOON + timedelta(hours=11, minutes=59), model="claude-y", person="mia"),
        a_call(other, at=NOON + timedelta(days=1), driver=None, cost_usd=2.0),
        a_call(other, at=NOON + timedelta(days=60), cost_usd=100.0),
    ])  # fmt: skip

    assert _groups(viewer, "by=day") == {"2026-03-14": (2260, 1.0), "2026-03-15": (1130, 2.0)}
    assert _groups(viewer, "by=project") == {shop.project_id: (2260, 1.0), other.project_id: (1130, 2.0)}
    assert _groups(viewer, "by=person") == {shop.created_by: (2260, 2.5), "mia": (1130, 0.5)}
    assert _groups(viewer, "by=driver") == {"claude": (2260, 1.0), "": (1130, 2.0)}
    assert _groups(viewer, "by=model") == {"claude-x": (2260, 2.5), "claude-y": (1130, 0.5)}
    assert _groups(viewer, f"by=model&projectId={other.project_id}") == {"claude-x": (1130, 2.0)}


def test_a_call_that_is_recorded_again_is_not_counted_again(app: Flask, viewer: FlaskClient, shop: Task) -> None:
    run = a_live_run(shop)
    call = a_call(shop, run)

    assert record_calls([call, call]) == 1
    assert record_calls([call, a_call(shop, run)]) == 1

    with snapshot() as read:
        found = read.get(Run, run.id)
    assert found is not None
    assert (found.usage["calls"], found.usage["inputTokens"], found.usage["costUsd"]) == (2, 200, 1.0)


def test_a_restricted_project_is_counted_for_its_members_alone(app: Flask, shop: Task) -> None:
    secret = a_task(a_project("Secret", is_restricted=True))
    record_calls([a_call(shop), a_call(secret, cost_usd=9.0)])
    outsider, member = (builders.a_user(name, Role.MEMBER) for name in ("out", "in"))
    put_member(secret.project_id, member.id, Role.VIEWER, by=somebody())
    outside, inside = builders.client_of(app, outsider), builders.client_of(app, member)

    assert set(_groups(outside, "by=project")) == {shop.project_id}
    assert outside.get(f"/api/spend?{MARCH}").json["total"]["costUsd"] == 0.5
    assert set(_groups(inside, "by=project")) == {shop.project_id, secret.project_id}
    assert outside.get(f"/api/spend?projectId={secret.project_id}").status_code == 404
    assert inside.get(f"/api/spend?projectId={secret.project_id}").status_code == 200


def test_figures_come_as_csv(viewer: FlaskClient, shop: Task) -> None:
    record_calls([a_call(shop, model="=HYPERLINK(1)")])

    reply = viewer.get(f"/api/spend?by=model&{MARCH}&format=csv")

    assert reply.content_type == "text/csv; charset=utf-8; header=present"
    (row,) = csv.DictReader(io.StringIO(reply.text))
    assert (row["model"], row["input_tokens"], row["cost_usd"]) == ("'=HYPERLINK(1)", "100", "0.5")


def test_tasks_know_what_they_have_used(app: Flask, shop: Task) -> None:
    other, idle = a_task(a_project("Other")), a_task(a_project("Idle"))
    run = a_live_run(shop)
    put(Run, run.id, started_at=NOON, finished_at=NOON + timedelta(minutes=6), live_task_id=None)
    record_calls([a_call(shop, run), a_call(shop, run, cost_usd=None), a_call(other)])

    with snapshot() as read:
        spent = spent_by_tasks(read, [shop.id, other.id, idle.id])
        assert spent_by_tasks(read, []) == {}

    assert spent[shop.id] == TaskSpend(2260, 220, 40, 2000, 0.5, unpriced_calls=1, minutes=6.0, runs=1)
    assert (spent[other.id].cost_usd, spent[other.id].runs) == (0.5, 0)
    assert spent[idle.id] == TaskSpend()
