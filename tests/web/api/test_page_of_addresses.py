"""Addresses of the page that were put together by hand, or are old."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import stopped_clock
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("tab", ["", "/details"])
def test_a_task_that_is_asked_for_under_another_project_is_shown_in_its_own(
    reader: PageReader, plain_world: World, tab: str
) -> None:
    shop, blog = plain_world.project("Shop"), plain_world.project("Blog")
    task = plain_world.task(blog, "Write a post")
    reader.open("#/inbox")
    expect(reader.page.get_by_role("heading", name="Needs you")).to_be_visible()

    reader.open(f"#/projects/{shop.id}/tasks/{task.id}{tab}")

    expect(reader.page).to_have_url(re.compile(f"#/projects/{blog.id}/tasks/{task.id}{tab}$"))
    expect(reader.page.get_by_role("heading", name="Write a post")).to_be_visible()
    expect(reader.see("project-select")).to_have_value(blog.id)
    # The address that was wrong is not gone back to.
    reader.page.go_back()
    expect(reader.page).to_have_url(re.compile("#/inbox$"))


def test_a_group_that_is_asked_for_under_another_project_is_shown_in_its_own(
    reader: PageReader, plain_world: World
) -> None:
    shop, blog = plain_world.project("Shop"), plain_world.project("Blog")
    group = plain_world.group(blog, plain_world.approved(blog), name="Sprint 1")

    reader.open(f"#/projects/{shop.id}/groups/{group['id']}")

    expect(reader.page).to_have_url(re.compile(f"#/projects/{blog.id}/groups/{group['id']}$"))
    expect(reader.see("group-status")).to_be_visible()
    expect(reader.see("project-select")).to_have_value(blog.id)


def test_a_board_stays_that_of_its_project_though_the_one_before_has_just_changed(
    reader: PageReader, plain_world: World
) -> None:
    busy, quiet = plain_world.project("Busy"), plain_world.project("Quiet")
    hurried = plain_world.task(busy, "Hurry")
    plain_world.task(quiet, "Rest", labels=["calm"])
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{busy.id}/tasks")
    cards = reader.see("task-card")
    expect(cards).to_contain_text("Hurry")
    reader.settle()

    with stopped_clock(reader.page):
        feed.tell("task:status_changed", busy.id, feed.SEQ + 1, taskId=hurried.id, newState="in_progress")
        expect(reader.see("board-column-in_progress").get_by_test_id("task-card")).to_have_count(1)
        reader.page.evaluate("hash => { location.hash = hash }", f"#/projects/{quiet.id}/tasks?label=calm")
        reader.page.clock.run_for(50)
        expect(cards).to_contain_text("Rest")
        reader.page.wait_for_load_state("networkidle")
        # Longer than the page waits for more events before it reads what they tell of.
        reader.page.clock.run_for(200)
    reader.settle()

    expect(cards).to_contain_text("Rest")
