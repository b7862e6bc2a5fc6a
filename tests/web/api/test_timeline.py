"""The timeline of a task that much has happened to: the newest first, and all of it for who asks for more."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.events import TaskUpdated
from common.models import Task
from common.transaction import Transaction, transactional
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World

PAGE = 500


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


@transactional
def change(tx: Transaction, task: Task, times: int, *fields: str) -> None:
    """As if that many people had changed these fields of the task."""
    for _ in range(times):
        tx.record(TaskUpdated(feed=task.project_id, subject_task_id=task.id, task_id=task.id, changed=fields))


def test_the_newest_events_of_a_task_are_read_first_and_the_others_before_them(world: World) -> None:
    project = world.project()
    task, other = world.task(project), world.task(project)
    change(task, 5, "notes")
    change(other, 1, "notes")
    path = f"/api/tasks/{task.id}/events"
    oldest = [one["seq"] for one in world.client.get(path).json["events"]]

    first = world.client.get(path, query_string={"order": "newest", "limit": 4}).json
    rest = world.client.get(path, query_string={"order": "newest", "beforeSeq": first["lastSeq"]}).json

    assert [one["seq"] for one in [*first["events"], *rest["events"]]] == oldest[::-1]
    assert len(first["events"]) == 4
    assert rest["events"][-1]["event"] == "task:created"
    assert world.client.get(path, query_string={"order": "latest"}).status_code == 400


@pytest.mark.slow
def test_the_page_shows_the_newest_first_and_loads_the_others_on_demand(reader: PageReader, plain_world: World) -> None:
    task = plain_world.task(plain_world.project())
    change(task, 2 * PAGE, "notes")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{task.project_id}/tasks/{task.id}/details")
    timeline = reader.page.locator(".timeline")
    rows, more = timeline.locator("li"), timeline.get_by_test_id("load-more")
    expect(rows).to_have_count(PAGE)
    expect(timeline).not_to_contain_text("created the task")

    change(task, 1, "title")
    feed.tell("task:updated", task.project_id, feed.SEQ + 1, taskId=task.id, changed=["title"])
    expect(rows).to_have_count(PAGE + 1)
    more.click()
    expect(rows).to_have_count(2 * PAGE + 1)
    more.click()

    expect(rows).to_have_count(2 * PAGE + 2)
    expect(more).to_have_count(0)
    expect(rows.last).to_contain_text("created the task")
