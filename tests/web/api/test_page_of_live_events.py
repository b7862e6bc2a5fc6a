"""The page's subscriptions: what it does where the server refuses or ends one."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request, Route, expect

from common.models import Project
from common.states import Role
from tests import builders
from tests.e2e.browser import stop_clock
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, put

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_refused_subscription_is_asked_for_again(reader: PageReader, plain_world: World, refusals: int) -> None:
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    feed.refusals[project.id] = ["The database can't be reached; try again"] * refusals
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


def test_an_ended_subscription_is_asked_for_again(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    reader.settle()

    feed.refusals[project.id] = ["Resource not found"]
    feed.end_access(project.id)
    task = plain_world.task(project, "Greet")
    feed.tell("task:created", project.id, feed.SEQ + 1, taskId=task.id)

    expect(reader.see("task-card")).to_have_count(1)


def test_an_older_list_of_projects_that_comes_last_takes_no_new_project_away(
    reader: PageReader, plain_world: World
) -> None:
    plain_world.project()
    reader.open("#/projects/new")
    expect(reader.see("project-select")).to_contain_text("Demo")
    reader.settle()
    path = "**/api/projects?*"
    older = plain_world.client.get("/api/projects?limit=200").json
    late: list[Route] = []
    reader.page.route(path, lambda route: late.append(route), times=1)
    with reader.page.expect_request(path):
        reader.see("project-select").focus()

    reader.see("project-name").fill("Shop")
    reader.see("project-create").click()
    expect(reader.page.get_by_role("heading", name="Shop")).to_be_visible()
    with reader.page.expect_response(path):
        late[0].fulfill(json=older)
    reader.settle()

    expect(reader.page.get_by_role("heading", name="Shop")).to_be_visible()


def test_an_agent_that_somebody_removes_is_not_shown_as_if_it_were_there(
    reader: PageReader, plain_world: World
) -> None:
    _client, agent_id = plain_world.agent()
    feed = LiveFeed(reader.page)
    reader.open(f"#/agents/{agent_id}")
    expect(reader.see("agent-drain")).to_be_visible()
    reader.settle()

    admin = builders.client_of(plain_world.app, builders.a_user("ada", Role.ADMIN))
    assert admin.delete(f"/api/agents/{agent_id}").status_code == 204
    feed.tell("agent:deleted", "platform", feed.SEQ + 1, agentId=agent_id)

    expect(reader.see("agent-drain")).to_have_count(0)
    expect(reader.page.get_by_role("alert")).to_contain_text("There is no such thing")


def test_a_page_at_rest_has_read_what_its_events_told_of(reader: PageReader, plain_world: World) -> None:
    """Of the tests' own `settle`."""
    project = plain_world.project()
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/deployments")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    reader.settle()
    asked: list[Request] = []
    reader.page.on("request", lambda request: asked.append(request))

    feed.tell("deploy:status", project.id, feed.SEQ + 1)
    reader.settle()

    assert any("/deployments?" in request.url for request in asked)


def test_a_lost_connection_covers_no_button(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("link-lost")).to_be_visible()

    # What lies below something else is not clicked.
    reader.see("task-search").click()
    reader.see("board-filter").click()
    reader.page.set_viewport_size({"width": 390, "height": 844})
    reader.page.get_by_role("button", name="Menu").click()

    expect(reader.see("logout")).to_be_visible()
    expect(reader.see("link-lost")).to_be_visible()
