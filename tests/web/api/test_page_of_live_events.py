"""The page's subscriptions: what it does where the server refuses or ends one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Project
from tests.e2e.browser import stop_clock
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow


def test_a_refused_subscription_is_asked_for_again(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    feed.refusals[project.id] = ["The database can't be reached; try again"]
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    reader.settle()

    task = plain_world.task(project, "Greet")
    feed.tell("task:created", project.id, feed.SEQ + 1, taskId=task.id)

    expect(reader.see("task-card")).to_have_count(1)


def test_who_is_taken_out_of_a_project_sees_it_no_longer(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.task(project)
    feed = LiveFeed(reader.page)
    reader.page.clock.install()
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    expect(reader.see("task-card")).to_have_count(1)
    reader.settle()
    # No time passes, so that the list of projects is not read as every half minute.
    stop_clock(reader.page)

    put(Project, project.id, is_restricted=True)
    feed.refusals[project.id] = ["Resource not found"] * 9
    with reader.page.expect_response("**/api/projects?*"):
        feed.end_access(project.id)

    reader.page.clock.resume()
    expect(reader.see("task-card")).to_have_count(0)
    expect(reader.page.get_by_text("There is no such project")).to_be_visible()
