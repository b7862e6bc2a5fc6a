"""What the open page shows when something changes: the newest, whatever the order in which answers come."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Route, expect

from common.models import Task
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow


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
        reader.hear_of_state(project.id, task.id, "in_progress")
    older = plain_world.client.get(f"/api/tasks/{task.id}").json
    put(Task, task.id, state_="ready_to_test", phase_=None)
    with reader.page.expect_response(path):
        reader.hear_of_state(project.id, task.id, "ready_to_test")

    with reader.page.expect_response(path):
        late[0].fulfill(json=older)
    reader.settle()

    expect(reader.see("board-column-ready_to_test").get_by_test_id("task-card")).to_have_count(1)


BUSY: dict[str, Any] = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"error": "Service unavailable"}}
AWAY = "away"
"""The server isn't reached."""


def _fail(reader: PageReader, path: str, how: dict[str, Any] | str, times: int) -> None:
    """The next reads of this path fail."""
    reader.page.route(path, lambda route: route.abort() if how == AWAY else route.fulfill(**BUSY | how), times=times)


def test_lists_and_the_board_are_read_again_when_a_read_failed(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.page.get_by_text("No tasks yet")).to_be_visible()
    reader.settle()
    _fail(reader, "**/api/board?*", BUSY, times=2)
    approved = plain_world.task(project, "Greet", state="approved")
    feed.tell("resync", project.id, feed.SEQ + 1)
    expect(reader.see("task-card")).to_have_count(1)
    expect(reader.see("toast")).to_have_count(1)

    reader.page.evaluate("hash => { location.hash = hash }", f"#/projects/{project.id}/groups")
    expect(reader.page.get_by_text("No groups yet")).to_be_visible()
    reader.settle()
    _fail(reader, "**/api/task-groups?*", BUSY, times=1)
    plain_world.group(project, [approved.id])
    feed.tell("task-group:status_changed", project.id, feed.SEQ + 2)
    expect(reader.page.get_by_text("No groups yet")).to_have_count(0)
