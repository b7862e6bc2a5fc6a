"""Columns of the board that have more tasks than it shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from common.models import Task
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow

BOARD = "**/api/board?*"
MORE = "**/api/tasks?*"


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_a_column_says_how_many_tasks_it_has_though_it_shows_fewer(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    for number in range(61):
        plain_world.task(project, f"Task {number}")

    reader.open()

    column = reader.see("board-column-backlog")
    expect(column.get_by_role("heading", name="Backlog")).to_have_text("Backlog 61", use_inner_text=True)
    expect(column.get_by_test_id("task-card")).to_have_count(50)
    reader.see("load-more").click()
    expect(column.get_by_test_id("task-card")).to_have_count(61)
    expect(column.get_by_role("heading", name="Backlog")).to_have_text("Backlog 61", use_inner_text=True)


def test_a_column_is_counted_anew_when_a_task_leaves_it_that_is_not_shown(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    oldest = [plain_world.task(project, f"Task {number}") for number in range(53)][:2]
    reader.open(f"#/projects/{project.id}/tasks")
    backlog, at_work = (reader.see(f"board-column-{state}").locator(".count") for state in ("backlog", "in_progress"))
    expect(backlog).to_have_text("53")

    for task in oldest:
        put(Task, task.id, state_="in_progress", phase_="queued")
        reader.hear_of_state(project.id, task.id, "in_progress")

    expect(at_work).to_have_text("2")
    expect(backlog).to_have_text("51")
    # What is still read of the two moves the button, also between the press and the release of a click.
    reader.settle()
    reader.see("load-more").click()
    expect(reader.see("board-column-backlog").get_by_test_id("task-card")).to_have_count(51)
    expect(backlog).to_have_text("51")


def test_a_filtered_board_keeps_its_length_when_it_is_read_again(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    oldest, *_ = [plain_world.task(project, f"Task {number}") for number in range(52)]
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks?q=Task")
    cards = reader.see("board-column-backlog").get_by_test_id("task-card")
    expect(cards).to_have_count(50)
    reader.see("load-more").click()
    expect(cards).to_have_count(52)
    reader.page.get_by_label(f"Select {oldest.title}", exact=True).check()

    put(Task, oldest.id, title="Task of old")
    feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=oldest.id)

    expect(cards.filter(has_text="Task of old")).to_have_count(1)
    expect(cards).to_have_count(52)
    expect(reader.see("selection")).to_contain_text("1 selected")


def test_a_task_that_is_opened_by_its_address_is_counted_once(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    oldest, *_ = [plain_world.task(project, f"Task {number}") for number in range(52)]

    reader.open(f"#/projects/{project.id}/tasks/{oldest.id}")

    column = reader.see("board-column-backlog")
    expect(column.get_by_test_id("task-card")).to_have_count(51)
    expect(column.locator(".count")).to_have_text("52")


def test_more_of_a_column_is_read_though_the_whole_board_is_being_read(reader: PageReader, plain_world: World) -> None:
    change = _open_with_52(reader, plain_world)
    held: list[Route] = []
    reader.page.route(BOARD, lambda route: held.append(route))
    with reader.page.expect_request(BOARD):
        change()

    reader.see("load-more").click()
    # An answer to the click comes before this one's, if it is asked for at once.
    reader.page.evaluate("() => fetch('/api/health').then((reply) => reply.text())")
    reader.page.unroute(BOARD)
    with reader.page.expect_response(BOARD):
        held[0].fallback()
    reader.settle()

    expect(reader.see("task-card")).to_have_count(52)


def test_more_of_a_column_is_read_though_the_whole_board_is_read_meanwhile(
    reader: PageReader, plain_world: World
) -> None:
    change = _open_with_52(reader, plain_world)
    held: list[Route] = []
    reader.page.route(MORE, lambda route: held.append(route))
    with reader.page.expect_request(MORE):
        reader.see("load-more").click()
    with reader.page.expect_response(BOARD):
        change()

    reader.page.unroute(MORE)
    held[0].fallback()

    expect(reader.see("task-card")).to_have_count(52)


def _open_with_52(reader: PageReader, world: World) -> Callable[[], None]:
    """Open a searched board that shows 50 of 52 tasks. What is returned tells of a change: all is read again."""
    project = world.project()
    changed, *_ = [world.task(project, f"Task {number}") for number in range(52)]
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks?q=Task")
    expect(reader.see("task-card")).to_have_count(50)
    return lambda: feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=changed.id)
