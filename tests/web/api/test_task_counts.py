"""How many tasks a project has in each state: what was counted once is counted on from the events since then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from common.models import Project, Task
from common.models.journal import EventRow
from common.transaction import Transaction, transactional
from tests.sent_statements import statements
from tests.web.world import World, put


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


@pytest.mark.parametrize("is_purged", [True, False], ids=["purged", "restored"])
def test_where_the_events_are_not_those_that_were_seen_tasks_are_counted_again(world: World, is_purged: bool) -> None:
    project = world.project()
    task = world.task(project)
    assert _total(world, project, state="backlog") == 1

    put(Task, task.id, state_="cancelled")
    (_purge if is_purged else _as_after_a_restore)(project.id)
    world.task(project)

    assert [_total(world, project, state=state) for state in ("backlog", "cancelled")] == [1, 1]


@transactional
def _purge(tx: Transaction, project_id: str) -> None:
    tx.session.execute(delete(EventRow).where(EventRow.feed_id == project_id))


@transactional
def _as_after_a_restore(tx: Transaction, project_id: str) -> None:
    """The event of the same number has another time."""
    for row in tx.session.scalars(select(EventRow).where(EventRow.feed_id == project_id)).all():
        of_it = (EventRow.feed_id == project_id, EventRow.seq == row.seq)
        tx.session.execute(update(EventRow).where(*of_it).values(at=row.at + timedelta(seconds=1)))
