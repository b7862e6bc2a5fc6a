"""The filter of the board at the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Task
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow


def test_the_filter_is_folded_away_and_says_that_it_holds(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks?priority=urgent&mine=true")
    button = reader.see("board-filter")
    expect(reader.see("board-filters")).to_be_visible()

    button.click()

    expect(reader.see("board-filters")).to_have_count(0)
    expect(button).to_have_text("Filter (2)")
    button.click()
    reader.see("filter-clear").click()
    expect(reader.see("task-card")).to_be_visible()
    button.click()
    expect(reader.see("board-filters")).to_have_count(0)
    expect(button).to_have_text("Filter")
    # One that comes then shows its fields.
    reader.see("task-search").fill("Nothing")
    expect(reader.see("board-filters")).to_be_visible()


def test_a_label_that_is_being_typed_stays_while_the_board_moves(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, labels=["ui", "urgent"])
    plain_world.task(project, "Search")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-card")).to_have_count(2)
    reader.see("board-filter").click()
    field = reader.see("filter-label")
    field.press_sequentially("ur")

    put(Task, task.id, title="Greet in Spanish")
    feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id)
    expect(reader.see("task-card").filter(has_text="Greet in Spanish")).to_have_count(1)

    expect(field).to_have_value("ur")
    field.press_sequentially("gent")
    field.press("Enter")
    expect(reader.see("task-card")).to_have_count(1)
    expect(field).to_have_value("urgent")
    reader.see("filter-clear").click()
    expect(field).to_have_value("")
