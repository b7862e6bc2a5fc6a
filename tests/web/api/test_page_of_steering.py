"""What somebody writes to an agent on a task's page while the agent's run begins or ends."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Run, Task
from tests.web.factories import a_live_run
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow


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
