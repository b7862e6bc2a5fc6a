"""A login at the page: two tabs of one browser share it, its refresh token is good once, and its end is told."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import builders
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

PLAIN = "http://aiworker.example:9"
"""Plain HTTP from another machine, where browsers have no locks between tabs."""

_SIGN_IN = "async tokens => (await import('/static/app/server/session.mjs')).storeTokens(tokens)"


def tab(reader: PageReader) -> Page:
    page = reader.new_tab()
    page.goto(f"{PLAIN}/#/account")
    expect(page.get_by_test_id("session")).to_have_count(1)
    return page


def kept(page: Page) -> Any:
    return page.evaluate("async () => (await import('/static/app/server/session.mjs')).currentTokens()")


def test_who_signs_in_next_finds_nothing_of_what_was_being_done(source_reader: PageReader, plain_world: World) -> None:
    reader = source_reader
    project = plain_world.project()
    for title in ("A secret", "Another secret"):
        plain_world.task(project, title, state="ready_to_test")
    ended = {"error": "Unauthorized"}
    reader.page.route("**/api/tasks/*/approve", lambda route: route.fulfill(status=401, json=ended))
    reader.page.route("**/api/auth/refresh", lambda route: route.fulfill(status=401, json=ended))
    reader.open(f"#/projects/{project.id}/tasks")
    boxes = reader.page.get_by_test_id("card-select")
    expect(boxes).to_have_count(2)
    for box in boxes.all():
        box.check()

    reader.see("selection-approve").click()

    expect(reader.see("login-lead")).to_contain_text("Your session has ended")
    reader.settle()
    expect(reader.see("toast")).to_have_count(0)
    reader.page.evaluate(_SIGN_IN, builders.log_in(plain_world.client, plain_world.max.username))
    expect(reader.see("task-card")).to_have_count(2)
    expect(reader.see("selection")).to_have_count(0)
