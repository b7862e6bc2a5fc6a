"""What somebody writes to an agent on a task's page while the agent's run begins or ends."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Comment, Run, Task
from tests.web.live_feed import LiveFeed
from tests.web.made import a_live_run, end
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, put

pytestmark = pytest.mark.slow


def test_a_message_whose_run_has_ended_is_said_as_a_comment(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    put(Task, task.id, state_="in_progress", phase_="working")
    run = a_live_run(task)
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/work")
    field = reader.see("message-text")
    field.fill("Please mind")

    end(run)
    put(Task, task.id, state_="ready_to_test", phase_=None)
    feed.tell("task:status_changed", project.id, feed.SEQ + 1, taskId=task.id, newState="ready_to_test")
    expect(reader.see("message-send")).to_have_count(0)

    expect(field).to_be_focused()
    reader.page.keyboard.type(" the gap.")
    reader.see("message-comment").click()
    expect(reader.see("steering")).to_have_count(0)
    assert [one.body for one in all_of(Comment)] == ["Please mind the gap."]


def test_a_message_whose_run_has_ended_is_thrown_away(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    put(Task, task.id, state_="in_progress", phase_="working")
    run = a_live_run(task)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/work")
    reader.see("message-text").fill("Please mind the gap.")
    end(run)

    reader.page.reload()
    reader.see("message-discard").click()

    expect(reader.see("steering")).to_have_count(0)
    reader.page.reload()
    expect(reader.see("comment-body")).to_be_visible()
    expect(reader.see("steering")).to_have_count(0)


def test_an_agent_is_written_to_as_soon_as_it_is_there(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    put(Task, task.id, state_="in_progress", phase_="working")
    run = a_live_run(task)
    put(Run, run.id, state_="preparing")
    LiveFeed(reader.page)
    reader.page.clock.install()
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/work")
    expect(reader.see("run-state")).to_have_text("Preparing")
    expect(reader.see("message-send")).to_have_count(0)

    # No event tells of it.
    put(Run, run.id, state_="running", started_at=run.created_at)
    reader.page.clock.run_for(5000)

    expect(reader.see("message-send")).to_be_visible()
    expect(reader.see("task-take-over")).to_be_visible()


def test_a_comment_stays_that_is_being_written_when_a_run_begins(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/work")
    field = reader.see("comment-body")
    field.fill("Please mind")

    put(Task, task.id, state_="in_progress", phase_="working")
    a_live_run(task)
    feed.tell("task:status_changed", project.id, feed.SEQ + 1, taskId=task.id, newState="in_progress")
    expect(reader.see("message-send")).to_be_visible()

    expect(field).to_be_focused()
    reader.page.keyboard.type(" the gap.")
    reader.see("comment-submit").click()
    expect(field).to_have_count(0)
    assert [one.body for one in all_of(Comment)] == ["Please mind the gap."]


def test_the_question_before_a_take_over_stays_while_the_task_moves_on(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    put(Task, task.id, state_="in_progress", phase_="working")
    run = a_live_run(task)
    put(Run, run.id, started_at=run.created_at)
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-take-over").click()
    # "Keep it" would say the opposite of what it does.
    dialog = reader.page.get_by_role("dialog")
    expect(dialog.locator("footer").get_by_role("button")).to_have_text(["Cancel", "Take over"])

    put(Task, task.id, phase_="verifying")
    feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id, changed=["phase"])
    expect(reader.see("task-phase")).to_have_text("Verifying")
    reader.see("task-take-over-confirm").click()

    expect(reader.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("verif")
    reader.page.keyboard.press("Escape")
    put(Task, task.id, phase_="working")
    feed.tell("task:updated", project.id, feed.SEQ + 2, taskId=task.id, changed=["phase"])
    expect(reader.see("task-take-over")).to_be_visible()
    expect(reader.page.get_by_role("dialog")).to_have_count(0)


def test_a_note_stays_that_is_being_written_when_somebody_else_hands_the_task_back(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    holder = plain_world.max
    put(Task, task.id, state_="in_progress", phase_="held", held_by=holder.username, held_by_id=holder.user_id)
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    field = reader.see("hand-back-note")
    field.fill("Please mind")

    put(Task, task.id, phase_="queued", held_by=None, held_by_id=None)
    feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id, changed=["heldBy"])
    expect(reader.see("task-held")).to_contain_text("Not sent: the task was handed back meanwhile")

    expect(field).to_be_focused()
    reader.page.keyboard.type(" the gap.")
    reader.see("note-comment").click()
    expect(field).to_have_count(0)
    assert [one.body for one in all_of(Comment)] == ["Please mind the gap."]
    reader.page.reload()
    expect(reader.see("task-comments")).to_contain_text("Please mind the gap.")
    expect(field).to_have_count(0)


def test_a_note_that_was_left_is_thrown_away(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    put(Task, task.id, state_="in_progress", phase_="held", held_by="ada", held_by_id="1")
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("hand-back-note").fill("Please mind the gap.")
    put(Task, task.id, phase_="queued", held_by=None, held_by_id=None)
    reader.page.reload()

    reader.see("note-discard").click()

    expect(reader.see("task-held")).to_have_count(0)
    reader.page.reload()
    expect(reader.see("task-state")).to_be_visible()
    expect(reader.see("task-held")).to_have_count(0)


def test_a_note_goes_with_what_is_handed_back(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    holder = plain_world.max
    put(Task, task.id, state_="in_progress", phase_="held", held_by=holder.username, held_by_id=holder.user_id)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("hand-back-note").fill("I have minded the gap.")

    reader.see("task-hand-back").click()

    expect(reader.see("task-held")).to_have_count(0)
    expect(reader.see("toast")).to_contain_text("Handed back.")
    assert [one.body for one in all_of(Comment)] == ["I have minded the gap."]
    reader.page.reload()
    expect(reader.see("task-state")).to_be_visible()
    expect(reader.see("task-held")).to_have_count(0)
