"""Addresses of the page that were put together by hand, or are old."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


def test_a_task_that_is_asked_for_under_another_project_is_shown_in_its_own(
    reader: PageReader, plain_world: World
) -> None:
    shop, blog = plain_world.project("Shop"), plain_world.project("Blog")
    task = plain_world.task(blog, "Write a post")
    reader.open("#/inbox")
    expect(reader.page.get_by_role("heading", name="Needs you")).to_be_visible()

    reader.open(f"#/projects/{shop.id}/tasks/{task.id}/details")

    expect(reader.page).to_have_url(re.compile(f"#/projects/{blog.id}/tasks/{task.id}/details$"))
    expect(reader.page.get_by_role("heading", name="Write a post")).to_be_visible()
    expect(reader.see("project-select")).to_have_value(blog.id)
    # The address that was wrong is not gone back to.
    reader.page.go_back()
    expect(reader.page).to_have_url(re.compile("#/inbox$"))
