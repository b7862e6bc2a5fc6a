"""Notifications of the browser about what needs the person."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

LOAD_INBOX = "async () => (await import('/static/app/inbox.mjs')).loadInbox()"
AS_ON_ANDROID = """
document.hasFocus = () => false;
window.Notification = class {
  static permission = "default";
  static async requestPermission() { this.permission = "granted"; }
  constructor() {
    throw new TypeError("Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.");
  }
};
"""
"""What Chrome on Android answers a page that shows a notification by itself."""


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_a_browser_that_shows_no_notification_of_a_page_is_not_said_to_show_some(
    reader: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    reader.page.add_init_script(AS_ON_ANDROID)
    failures: list[str] = []
    reader.page.on("pageerror", lambda error: failures.append(str(error)))
    reader.open("#/inbox")
    expect(reader.page.get_by_text("Nothing waits for you")).to_be_visible()
    reader.see("notifications").click()

    plain_world.task(project, "Unheard", state="failed")
    reader.page.evaluate(LOAD_INBOX)

    expect(reader.see("inbox-item")).to_have_count(1)
    expect(reader.see("notifications")).to_have_count(0)
    assert failures == []
