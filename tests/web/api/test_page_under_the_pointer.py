"""What a live message moves on the page while somebody points at it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from common.models import Task
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow

MOVE_CARD = """async ([projectId, taskId]) => (await import('/static/app/state/board-tasks.mjs')).heardOfTask(
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
