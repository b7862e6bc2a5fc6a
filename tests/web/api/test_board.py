"""A project's board in one reply: its columns, what its cards say, and what is left out when it is filtered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask

from common.models import Project, Run, Task
from common.models.run import LogEntry
from common.models.task import TaskCheck
from common.transaction import Transaction, transactional
from common.values.names import new_id
from common.values.states import Role
from tests.web.factories import a_live_run, a_question
from tests.web.world import World, put


def _board(world: World, project: Project, **query: Any) -> dict[str, Any]:
    reply = world.client.get("/api/board", query_string={"projectId": project.id, **query})
    assert reply.status_code == 200, reply.json
    board: dict[str, Any] = reply.json
    return board


def _titles(board: dict[str, Any]) -> dict[str, list[str]]:
    return {
        column["state"]: [task["title"] for task in column["tasks"]] for column in board["columns"] if column["total"]
    }


def test_the_board_has_every_column_and_says_what_its_cards_need(app: Flask) -> None:
    world = World(app)
    project = world.project()
    working = world.task(project, "At work", state="in_progress")
    asking = world.task(project, "Asks")
    later = world.task(project, "Later", depends_on=[working.id])
    world.task(project, "Over", state="production")
    a_question(asking, "Which language?")
    a_question(asking, "Which size?")
    run = a_live_run(working)
    for kind, message in (("text", "I look"), ("tool", "pytest -q"), ("result", "3 passed")):
        _log(run, kind, message)
    for name, status in (("head", "passed"), ("diff", "passed"), ("tests", "failed")):
        _check(working, run.id, name, status)

    board = _board(world, project)

    assert [column["state"] for column in board["columns"]][:3] == ["backlog", "in_progress", "needs_input"]
    assert _titles(board) == {
        "backlog": ["Later"], "in_progress": ["At work"], "needs_input": ["Asks"], "production": ["Over"],
    }  # fmt: skip
    cards = {card.pop("taskId"): card for card in board["cards"]}
    nothing = {
        "question": None, "askedBy": None, "step": None, "costUsd": 0, "checks": {}, "waitsFor": [], "overlaps": [],
    }  # fmt: skip
    assert cards == {
        working.id: {**nothing, "step": "pytest -q", "checks": {"passed": 2, "failed": 1}},
        asking.id: {**nothing, "question": "Which language?"},
        later.id: {**nothing, "waitsFor": ["At work"]},
    }


def test_a_card_says_which_open_tasks_change_the_same_files(app: Flask) -> None:
    world = World(app)
    project = world.project()
    mine = world.task(project, "Mine", state="ready_to_test", labels=["x"])
    one = world.task(project, "One", state="approved")
    two = world.task(project, "Two", state="in_progress")
    over = world.task(project, "Over", state="production")
    blocked_by_cancelled = world.task(project, "Given up", state="cancelled")
    elsewhere = world.task(world.project("GiteaAndCluster"), "GiteaAndCluster", state="ready_to_test")
    # The newest counts, also within a millisecond.
    at = datetime.now(UTC)
    _check(mine, new_id(), "diff", "passed", "old.py", at)
    _check(mine, new_id(), "diff", "passed", "a.py\nb.py\nc.py", at)
    _check(one, new_id(), "diff", "passed", "c.py")
    _check(two, new_id(), "diff", "passed", "a.py\nb.py\nold.py")
    for other in (over, blocked_by_cancelled, elsewhere):
        _check(other, new_id(), "diff", "passed", "a.py")
    _check(one, new_id(), "diff", "failed", "a.py\nb.py")

    cards = {card["taskId"]: card["overlaps"] for card in _board(world, project)["cards"]}

    assert cards == {
        mine.id: [{"taskId": two.id, "title": "Two", "files": 2}, {"taskId": one.id, "title": "One", "files": 1}],
        one.id: [{"taskId": mine.id, "title": "Mine", "files": 1}],
        two.id: [{"taskId": mine.id, "title": "Mine", "files": 2}],
    }
    (filtered,) = _board(world, project, label="x")["cards"]
    assert filtered["overlaps"] == cards[mine.id]


def test_a_board_and_a_list_are_filtered_alike(app: Flask) -> None:
    world = World(app)
    project = world.project()
    world.client_of("other", Role.MEMBER)
    world.task(project, "Ñandú", labels=["ñ", 'a"b'])
    put(Task, world.task(project, "Not mine", labels=["UI"]).id, created_by_id=world.users["other"].id)
    put(Task, world.task(project, "Hot", labels=["ui"], state="failed").id, priority=4)
    wanted: list[tuple[dict[str, str], set[str]]] = [
        ({"label": "ñ"}, {"Ñandú"}), ({"label": 'a"b'}, {"Ñandú"}), ({"label": "ui"}, {"Hot"}), ({"label": "u"}, set()),
        # The end of another label, behind what it quotes or escapes.
        ({"label": "b"}, set()), ({"label": "\\"}, set()),
        ({"mine": "true"}, {"Hot", "Ñandú"}), ({"priority": "urgent"}, {"Hot"}), ({"q": "not"}, {"Not mine"}),
        ({"label": "ui", "mine": "true", "q": "ho"}, {"Hot"}),
    ]  # fmt: skip

    for query, titles in wanted:
        shown = _titles(_board(world, project, **query))
        assert {title for some in shown.values() for title in some} == titles, query
        listed = world.client.get("/api/tasks", query_string={"projectId": project.id, **query}).json
        assert ({task["title"] for task in listed["tasks"]}, listed["total"]) == (titles, len(titles)), query


@transactional
def _log(tx: Transaction, run: Run, kind: str, message: str) -> None:
    tx.add(LogEntry(agent_id=run.agent_id, run_id=run.id, at=tx.now(), level="info", kind=kind, message=message))


@transactional
def _check(
    tx: Transaction, task: Task, run_id: str, name: str, status: str, log: str | None = None, at: datetime | None = None
) -> None:  # fmt: skip
    tx.add(TaskCheck(task_id=task.id, run_id=run_id, name=name, status=status, log=log, at=at or tx.now()))
