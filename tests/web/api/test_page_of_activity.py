"""What the page says of events: which task, group or deployment each one is about."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from common.events import DeployCompleted
from common.states import Environment
from common.transaction import Transaction, transactional
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

OLDER = "**/api/events?*beforeSeq=*"


def test_an_event_names_its_group_and_what_was_deployed(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Show prices", state="approved")
    group = plain_world.group(project, [task.id], name="Sprint 7")
    for environment, of in (
        (Environment.PREVIEW, {"task_id": task.id}),
        (Environment.STAGING, {"task_group_id": group["id"]}),
    ):
        _tell(project.id, plain_world.deployment(project, environment, **of), environment)

    reader.open(f"#/projects/{project.id}/activity")

    told = reader.see("activity-event")
    expect(told.filter(has_text="made a group")).to_contain_text("made a group · Sprint 7")
    expect(told.filter(has_text="preview deployment")).to_contain_text("finished the preview deployment · Show prices")
    staging = told.filter(has_text="staging deployment")
    expect(staging.get_by_role("link", name="Sprint 7")).to_have_attribute(
        "href", f"#/projects/{project.id}/groups/{group['id']}"
    )


def test_what_is_deployed_while_the_page_is_open_is_named(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Show prices")
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/activity")
    told = reader.see("activity-event")
    expect(told.filter(has_text="created the task")).to_contain_text("created the task · Show prices")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    reader.settle()

    deployment = plain_world.deployment(project, Environment.PREVIEW, task_id=task.id)
    _tell(project.id, deployment, Environment.PREVIEW)
    feed.tell("deploy:completed", project.id, feed.SEQ + 1, deploymentId=deployment)

    expect(told.filter(has_text="preview deployment")).to_contain_text("finished the preview deployment · Show prices")


def test_what_is_loaded_while_the_newest_are_read_again_leaves_no_gap(reader: PageReader, plain_world: World) -> None:
    """After a long absence, the newest 100 are read again instead of all that was missed."""
    project = plain_world.project()
    task = plain_world.task(project, "Show prices")
    deployment = plain_world.deployment(project, Environment.PREVIEW, task_id=task.id)
    _tell_often(150, project.id, deployment)
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/activity")
    told = reader.see("activity-event")
    expect(told).to_have_count(100)
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    reader.settle()
    held: list[Route] = []
    reader.page.route(OLDER, lambda route: route.fallback() if held else held.append(route))
    with reader.page.expect_request(OLDER):
        reader.see("load-more").click()

    _tell_often(500, project.id, deployment)
    with reader.page.expect_response("**/api/events?*order=newest*"):
        feed.tell("deploy:completed", project.id, feed.SEQ + 1, deploymentId=deployment)
    with reader.page.expect_response(OLDER):
        held[0].fallback()
    reader.settle()

    expect(told).to_have_count(100)
    reader.see("load-more").click()
    expect(told).to_have_count(200)


@transactional
def _tell_often(tx: Transaction, times: int, project_id: str, deployment_id: str) -> None:
    url = "http://localhost:20000"
    for _ in range(times):
        tx.record(
            DeployCompleted(feed=project_id, deployment_id=deployment_id, environment=Environment.PREVIEW, url=url)
        )


@transactional
def _tell(tx: Transaction, project_id: str, deployment_id: str, environment: Environment) -> None:
    url = "http://localhost:20000"
    tx.record(DeployCompleted(feed=project_id, deployment_id=deployment_id, environment=environment, url=url))
