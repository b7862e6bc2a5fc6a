"""What a live message moves on the page while somebody points at it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from common.models import Task
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow

MOVE_CARD = """async ([projectId, taskId]) => (await import('/static/app/tasks.mjs')).heardOfTask(
  {event: 'task:status_changed', projectId, data: {taskId, newState: 'in_progress'}}, () => {})"""
"""What a live message would make the page do."""


def test_a_card_stays_where_it_is_under_a_pressed_pointer(source_reader: PageReader, plain_world: World) -> None:
    """Else the pointer would come up over something else, and the click be lost."""
    project = plain_world.project()
    task = plain_world.task(project, "Greet in Spanish")
    source_reader.open()
    source_reader.see("task-card").hover()
    source_reader.page.mouse.down()
    put(Task, task.id, state_="in_progress", phase_="queued")

    with source_reader.page.expect_response(f"**/api/tasks/{task.id}*"):
        source_reader.page.evaluate(MOVE_CARD, [project.id, task.id])
    source_reader.page.evaluate("() => new Promise(requestAnimationFrame)")
    source_reader.page.mouse.up()

    expect(source_reader.page).to_have_url(re.compile(f"/tasks/{task.id}$"))
    expect(source_reader.see("board-column-in_progress").get_by_test_id("task-card")).to_have_count(1)


def test_a_click_that_opens_the_systems_menu_holds_no_card(source_reader: PageReader, plain_world: World) -> None:
    """As Ctrl and a click do on macOS: the menu hears the pointer come up, and the page does not."""
    project = plain_world.project()
    task = plain_world.task(project, "Greet in Spanish")
    source_reader.open()
    card = source_reader.see("task-card")
    for event in ("pointerdown", "contextmenu"):
        card.dispatch_event(event, {"isPrimary": True, "button": 0, "ctrlKey": True})
    put(Task, task.id, state_="in_progress", phase_="queued")

    source_reader.page.evaluate(MOVE_CARD, [project.id, task.id])

    expect(source_reader.see("board-column-in_progress").get_by_test_id("task-card")).to_have_count(1)


def test_a_column_that_is_scrolled_stays_where_it_is_when_the_card_with_the_focus_moves(
    source_reader: PageReader, plain_world: World
) -> None:
    reader = source_reader
    project = plain_world.project()
    tasks = [plain_world.task(project, f"Task {number}") for number in range(40)]
    reader.open(f"#/projects/{project.id}/tasks/{tasks[-1].id}")
    expect(reader.see("task-state")).to_be_visible()
    reader.see("task-card").first.click()
    reader.page.keyboard.press("Escape")
    expect(reader.see("task-state")).to_have_count(0)
    expect(reader.see("task-card").first).to_be_focused()
    column = reader.see("board-column-backlog").locator(".cards")
    column.hover()
    reader.page.mouse.wheel(0, 1500)
    expect(reader.see("task-card").first).not_to_be_in_viewport()
    reader.settle()
    before = column.evaluate("box => box.scrollTop")
    assert before > 0

    put(Task, tasks[-1].id, state_="in_progress", phase_="queued")
    with reader.page.expect_response(f"**/api/tasks/{tasks[-1].id}*"):
        reader.page.evaluate(MOVE_CARD, [project.id, tasks[-1].id])
    expect(reader.see("board-column-in_progress").get_by_test_id("task-card")).to_have_count(1)
    reader.settle()

    # Its cards move up by one.
    assert before - 200 < column.evaluate("box => box.scrollTop") <= before
