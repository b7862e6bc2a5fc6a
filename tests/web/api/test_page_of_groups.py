"""What open pages show of a group when somebody else makes it, or when production changes."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_an_approved_task_that_somebody_else_groups_shows_its_group(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="approved")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    step = reader.see("next-step")
    expect(step).to_have_attribute("data-step", "group")
    reader.settle()

    group = plain_world.group(project, [task.id])
    feed.tell("task-group:status_changed", project.id, feed.SEQ + 1, taskGroupId=group["id"], newStatus="pending")

    expect(step).to_have_attribute("data-step", "merging")


def test_what_a_group_brings_is_compared_with_what_production_serves_by_now(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    group = plain_world.group(project, plain_world.approved(project))
    feed = LiveFeed(reader.page)
    path = "**/api/task-groups/*/release"
    with reader.page.expect_response(path):
        reader.open(f"#/projects/{project.id}/groups/{group['id']}")
    contents = reader.see("release-contents")
    expect(contents).not_to_contain_text("Compared with")
    reader.settle()
    older = plain_world.client.get(f"/api/task-groups/{group['id']}/release").json
    newer = {**older["release"], "against": "production", "baseSha": "b" * 40}
    reader.page.route(path, lambda route: route.fulfill(json={"release": newer}))

    feed.tell("deploy:completed", project.id, feed.SEQ + 1, deploymentId="1", environment="production")

    expect(contents).to_contain_text("Compared with what production serves, bbbbbbb")
