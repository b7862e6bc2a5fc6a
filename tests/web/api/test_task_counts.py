"""How many tasks a project has in each state: what was counted once is counted on from the events since then."""

from __future__ import annotations

from typing import Any

import pytest

from common.models import Project
from tests.sent_statements import statements
from tests.web.world import World


def _total(world: World, project: Project, **query: Any) -> int:
    reply = world.client.get("/api/tasks", query_string={"projectId": project.id, "limit": 1, **query})
    assert reply.status_code == 200, reply.json
    total: int = reply.json["total"]
    return total


def _board(world: World, project: Project) -> dict[str, int]:
    columns = world.client.get("/api/board", query_string={"projectId": project.id}).json["columns"]
    return {column["state"]: column["total"] for column in columns if column["total"]}


def _counting(sent: list[str]) -> list[str]:
    return [sql for sql in sent if "count(*)" in sql]


@pytest.mark.slow
def test_a_total_follows_what_happens_without_counting_again(world: World) -> None:
    project = world.project()
    first = world.task(project)
    world.task(project)
    assert (_total(world, project), _board(world, project)) == (2, {"backlog": 2})

    world.task(project)
    assert world.client.post(f"/api/tasks/{first.id}/cancel").status_code == 200
    with statements() as sent:
        totals = [_total(world, project, **query) for query in ({}, {"state": "backlog"}, {"state": "cancelled"})]
        board = _board(world, project)

    assert (totals, board) == ([3, 2, 1], {"backlog": 2, "cancelled": 1})
    assert _counting(sent) == []
