"""A task never reaches production before what it depends on: asked when a group is made, and at each of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from common.models import Task
from tests.web.api.production_line import ProductionLine
from tests.web.world import World, forget_providers, put


@pytest.fixture
def line(app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(app))
    forget_providers()


@pytest.fixture
def plain_line(plain_app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(plain_app))
    forget_providers()


def ask(line: ProductionLine, *task_ids: str, **values: Any) -> Any:
    body = {"projectId": line.project.id, "taskIds": list(task_ids), **values}
    return line.world.client.post("/api/task-groups", json=body)


def refused(reply: Any, field: str) -> str:
    assert (reply.status_code, reply.json["details"]["field"]) == (409, field), reply.json
    message: str = reply.json["details"]["message"]
    return message


@pytest.mark.parametrize("state", ["in_progress", "cancelled"])
def test_a_group_without_what_its_task_needs_is_refused(plain_line: ProductionLine, state: str) -> None:
    line = plain_line
    needed = line.task("Needed")
    task = line.task("Dependent", depends_on=[needed])
    put(Task, needed, state_=state, phase_="queued" if state == "in_progress" else None)

    message = refused(ask(line, task), "taskIds")

    assert "'Dependent'" in message
    assert "'Needed'" in message
    assert f"is {state}" in message
    assert ask(line, task, acceptRolledBack=True).status_code == 409, "nothing was rolled back"


def test_a_group_merges_each_task_after_what_it_needs(line: ProductionLine) -> None:
    base = line.task("Base")
    middle = line.task("Middle", depends_on=[base])
    other = line.task("Other")
    top = line.task("Top", depends_on=[base, middle])
    made = ask(line, top, other, middle, base).json["taskGroup"]
    assert made["taskIds"] == [other, base, middle, top]
    assert line.world.client.get(f"/api/task-groups/{made['id']}").json["taskGroup"]["taskIds"] == made["taskIds"]


@pytest.mark.slow
def test_what_a_task_needs_must_still_be_in_production(plain_line: ProductionLine) -> None:
    line = plain_line
    needed = line.task("Needed")
    early = line.task("Early", depends_on=[needed])
    line.deliver()
    line.deliver(needed)
    staged = line.staged(early)
    line.roll_back()
    assert line.act(staged, "deploy-production").status_code == 409
    line.act(staged, "cancel")
    reverted = line.task("Take it out", labels=["revert"])
    refused(ask(line, reverted, early), "acceptRolledBack")
    line.deliver(reverted)
    assert "'Needed'" in refused(ask(line, early), "acceptRolledBack")
    assert ask(line, early, acceptRolledBack=True).status_code == 201
