"""Undo on the page: a cancelled task waits some seconds for it, and it takes back nothing that others did."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Task
from tests.e2e.browser import stopped_clock
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, put

pytestmark = pytest.mark.slow


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


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


def test_undo_of_a_label_leaves_the_labels_that_others_added(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    old, new = (plain_world.task(project, title, labels=labels) for title, labels in (("Old", ["ui"]), ("New", [])))
    reader.open(f"#/projects/{project.id}/tasks")
    for task in (old, new):
        reader.page.get_by_label(f"Select {task.title}").check()
    reader.see("selection-label").fill("ui")
    reader.page.keyboard.press("Enter")
    expect(reader.see("undo")).to_be_visible()
    for task in (old, new):
        put(Task, task.id, labels=["ui", "theirs"])

    with reader.page.expect_response(lambda reply: reply.url.endswith(new.id) and reply.request.method == "PATCH"):
        reader.see("undo").click()
    reader.settle()

    assert {task.title: task.labels for task in all_of(Task)} == {"Old": ["ui", "theirs"], "New": ["theirs"]}
