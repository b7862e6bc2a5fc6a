"""A task that is cancelled on the page waits some seconds for Undo, and Undo keeps it whatever was pressed before."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Task
from tests.e2e.browser import stopped_clock
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, get

CANCEL_SOON = """async tasks => {
  const { cancelSoon } = await import('/static/app/cancelling.mjs');
  cancelSoon(tasks, () => {});
}"""
"""What every part of the page does that cancels these tasks."""
TIME_FOR_UNDO_MS = 6000


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_undo_keeps_a_task_that_was_cancelled_twice(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-cancel").click()
    with stopped_clock(reader.page):
        reader.see("task-cancel-confirm").click()
        expect(reader.see("undo")).to_be_visible()
        reader.page.evaluate(CANCEL_SOON, [{"id": task.id, "title": task.title}])

        reader.see("undo").click()

        expect(reader.see("undo")).to_have_count(0)
        reader.page.clock.run_for(TIME_FOR_UNDO_MS)
    reader.settle()
    assert get(Task, task.id).state_ == "backlog"


def test_a_task_that_will_be_cancelled_says_so_and_can_be_cancelled_again_after_undo(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.page.get_by_label(f"Select {task.title}").check()
    expect(reader.see("selection-cancel")).to_be_enabled()
    cancel = reader.see("task-cancel")
    cancel.click()
    with stopped_clock(reader.page):
        reader.see("task-cancel-confirm").click()

        expect(cancel).to_have_text("Will be cancelled")
        expect(cancel).to_be_disabled()
        expect(cancel).to_be_focused()
        expect(reader.see("task-card")).to_contain_text("Will be cancelled")
        expect(reader.see("selection-cancel")).to_have_text("Will be cancelled")
        expect(reader.see("selection-cancel")).to_be_disabled()
        reader.see("undo").click()
        expect(cancel).to_have_text("Cancel task")
        expect(reader.see("selection-cancel")).to_be_enabled()


def test_tasks_with_the_same_title_have_their_own_undo(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    kept, dropped = (plain_world.task(project, "Fix it") for _ in range(2))
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-card")).to_have_count(2)
    with stopped_clock(reader.page):
        for task in (kept, dropped):
            reader.page.evaluate(CANCEL_SOON, [{"id": task.id, "title": task.title}])
        expect(reader.see("undo")).to_have_count(2)

        reader.see("undo").first.click()

        expect(reader.see("undo")).to_have_count(1)
        reader.page.clock.run_for(TIME_FOR_UNDO_MS)
    expect(reader.see("toast").filter(has_text="1 task cancelled")).to_be_visible()
    assert {task.id: task.state_ for task in all_of(Task)} == {kept.id: "backlog", dropped.id: "cancelled"}
