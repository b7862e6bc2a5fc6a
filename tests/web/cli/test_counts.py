"""What commands say of one thing, of none and of several: the words fit the number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from flask import Flask

from common.models import Run, Task
from common.services.spend.model_calls import record_calls
from common.values.model_provider import TokenCount
from tests.web.api.test_spend import a_call
from tests.web.cli.test_main import aiworker
from tests.web.made import a_live_run
from tests.web.world import World, forget_providers, put
from web.cli.tables import counted

pytestmark = pytest.mark.usefixtures("ours")


@pytest.fixture
def world(plain_app: Flask) -> Iterator[World]:
    yield World(plain_app)
    forget_providers()


def test_a_word_follows_its_number() -> None:
    assert [counted(number, "task") for number in (0, 1, 2, 1000)] == ["0 tasks", "1 task", "2 tasks", "1,000 tasks"]
    assert [counted(number, "is", "are") for number in (1, 2)] == ["1 is", "2 are"]


def test_what_one_run_and_one_call_have_cost(world: World) -> None:
    task = world.task(world.project("Shop"))
    _a_run_with_a_call(task)

    shown = aiworker("task", "show", task.id, is_screen=True, NO_COLOR="1")
    assert "1 run, 1 token, $0.00" in shown
    assert "1 call has no known price." in aiworker("spend")

    _a_run_with_a_call(task)
    assert "2 runs, 2 tokens, $0.00" in aiworker("task", "show", task.id, is_screen=True, NO_COLOR="1")
    assert "2 calls have no known price." in aiworker("spend")


def test_spend_is_of_whole_days(world: World) -> None:
    task = world.task(world.project("Shop"))
    run, today = a_live_run(task), datetime.combine(datetime.now(UTC).date(), time(), UTC)
    each_hour = [today + timedelta(hours=hour) for hour in range(-4 * 24, 24)]
    record_calls([a_call(task, run, at=at, count=TokenCount(1), cost_usd=None) for at in each_hour])

    rows = [line.split() for line in aiworker("spend", "--days", "3").splitlines()]
    calls = [row[3] for row in rows if row[0].startswith("20")]
    assert len(calls) <= 3
    assert set(calls[:-1]) == {"24"}


def _a_run_with_a_call(task: Task) -> None:
    run, now = a_live_run(task), datetime.now(UTC)
    put(Run, run.id, started_at=now, finished_at=now, live_task_id=None)
    record_calls([a_call(task, run, at=now, count=TokenCount(1), cost_usd=None)])
