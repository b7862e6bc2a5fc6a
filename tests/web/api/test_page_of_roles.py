"""What the page offers to whom: in a restricted project a person may have a lower role than on the platform."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.models import Project
from common.values.states import Role
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow


@pytest.fixture
def maya(at_the_page: Callable[[str, Role], PageReader]) -> PageReader:
    """A maintainer of the platform."""
    return at_the_page("maya", Role.MAINTAINER)


def test_who_may_only_read_a_restricted_project_is_offered_no_more(maya: PageReader, plain_world: World) -> None:
    world = plain_world
    project = world.project("Hidden")
    task = world.task(project, "Greet", state="ready_to_test")
    member = f"/api/projects/{project.id}/members/{world.users['maya'].id}"
    assert world.client.put(member, json={"role": "viewer"}).status_code == 200
    put(Project, project.id, is_restricted=True)
    refused: list[str] = []
    maya.page.on("response", lambda reply: refused.append(reply.url) if reply.status == 403 else None)

    maya.open(f"#/projects/{project.id}")
    expect(maya.see("task-card")).to_have_count(1)
    expect(maya.see("task-new")).to_have_count(0)
    maya.page.goto(f"{maya.page.url}/tasks/{task.id}")
    expect(maya.see("next-step")).to_contain_text("Waits for the review of a maintainer")
    maya.settle()

    expect(maya.see("task-edit")).to_have_count(0)
    expect(maya.see("project-new")).to_have_count(1)
    assert refused == []


def test_who_is_given_another_role_in_a_restricted_project_is_offered_what_it_allows(
    maya: PageReader, plain_world: World
) -> None:
    world = plain_world
    project = world.project("Hidden")
    user_id = world.users["maya"].id
    member = f"/api/projects/{project.id}/members/{user_id}"
    assert world.client.put(member, json={"role": "viewer"}).status_code == 200
    put(Project, project.id, is_restricted=True)
    feed = LiveFeed(maya.page)
    maya.open(f"#/projects/{project.id}")
    expect(maya.page.get_by_text("No tasks yet")).to_be_visible()
    maya.settle()
    expect(maya.see("task-new")).to_have_count(0)
    # So that max may give it.
    put(Project, project.id, is_restricted=False)
    assert world.client.put(member, json={"role": "member"}).status_code == 200
    put(Project, project.id, is_restricted=True)

    with maya.page.expect_request("**/members"):
        feed.tell("project:member_changed", project.id, feed.SEQ + 1, userId=user_id, username="maya", newRole="member")

    expect(maya.see("task-new")).to_have_count(1)
