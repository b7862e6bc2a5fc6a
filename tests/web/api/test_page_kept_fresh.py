"""What events change on the open page: the newest state stays, whatever the order of the answers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from common.models import Task
from tests.web.page_reader import PageReader
from tests.web.world import World, put

HEAR = """async message => (await import('/static/app/tasks.mjs')).heardOfTask(message, () => {})"""
"""The board is told this as by its socket."""


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_an_older_answer_that_comes_last_does_not_move_a_card_back(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-card")).to_have_count(1)
    path = f"**/api/tasks/{task.id}"
    late: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if late:
            route.fallback()
        else:
            late.append(route)

    reader.page.route(path, hold_the_first)
    put(Task, task.id, state_="in_progress", phase_="verifying")
    with reader.page.expect_request(path):
        _hear_of(reader, project.id, task.id, "in_progress")
    older = plain_world.client.get(f"/api/tasks/{task.id}").json
    put(Task, task.id, state_="ready_to_test", phase_=None)
    with reader.page.expect_response(path):
        _hear_of(reader, project.id, task.id, "ready_to_test")

    with reader.page.expect_response(path):
        late[0].fulfill(json=older)
    reader.settle()

    expect(reader.see("board-column-ready_to_test").get_by_test_id("task-card")).to_have_count(1)


def _hear_of(reader: PageReader, project_id: str, task_id: str, state: str) -> None:
    data = {"taskId": task_id, "newState": state}
    reader.page.evaluate(HEAR, {"event": "task:status_changed", "projectId": project_id, "data": data})
