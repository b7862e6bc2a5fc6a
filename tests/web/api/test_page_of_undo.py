"""Undo on the page: a cancelled task waits some seconds for it, and it takes back nothing that others did."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Task
from common.states import Priority
from tests.e2e.browser import stopped_clock
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, get, put

pytestmark = pytest.mark.slow

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


def test_undo_of_a_priority_leaves_one_that_somebody_set_meanwhile(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks")
    reader.page.get_by_label(f"Select {task.title}").check()
    reader.see("selection-priority").select_option("urgent")
    expect(reader.see("undo")).to_be_visible()
    put(Task, task.id, priority=int(Priority.HIGH))

    with reader.page.expect_response(lambda reply: reply.request.method == "PATCH"):
        reader.see("undo").click()
    reader.settle()

    assert get(Task, task.id).priority == int(Priority.HIGH)


def test_undo_of_a_discarded_draft_opens_it_in_its_own_project(reader: PageReader, plain_world: World) -> None:
    first, second = plain_world.project("Kitchen"), plain_world.project("Garden")
    reader.open(f"#/projects/{first.id}/tasks")
    reader.see("task-new").click()
    reader.see("task-title").fill("Peel the potatoes")
    with stopped_clock(reader.page):
        reader.see("task-discard").click()
        reader.see("project-select").select_option(second.id)
        expect(reader.page.get_by_role("heading", name="Garden")).to_be_visible()

        reader.see("undo").click()

        expect(reader.see("task-title")).to_have_value("Peel the potatoes")
    expect(reader.see("project-select")).to_have_value(first.id)


def test_who_signs_out_in_another_window_leaves_no_message_about_a_cancelled_task(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-cancel").click()
    other = reader.new_tab()
    other.goto(reader.page.url)
    sent: list[str] = []
    reader.page.on("request", lambda request: sent.append(request.method))
    with stopped_clock(reader.page):
        reader.see("task-cancel-confirm").click()
        expect(reader.see("undo")).to_be_visible()
        other.get_by_test_id("logout").click()
        expect(reader.see("login-lead")).to_be_visible()

        reader.page.clock.run_for(TIME_FOR_UNDO_MS)
    reader.settle()

    assert "POST" not in sent
    assert reader.see("toast").all_inner_texts() == []
    assert get(Task, task.id).state_ == "backlog"
