"""What happened and what waits, as the page says it: also after the server could not answer, and in any direction."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.browser import Person, stop_clock
from tests.e2e.contract.caller import Caller
from tests.e2e.talk import Talk

pytestmark = pytest.mark.slow


class Busy:
    """Answers with 503 while it is on."""

    def __init__(self) -> None:
        self.is_on = True

    def answer(self, route: Route) -> None:
        if self.is_on:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": "Busy"})
        else:
            route.continue_()


def test_an_activity_that_a_busy_server_did_not_give_comes_by_itself(reader: Person, talk: Talk) -> None:
    busy = Busy()
    reader.page.route("**/api/events?*", busy.answer)
    reader.page.goto(f"{reader.url}/#/projects/{talk.task['projectId']}/activity")
    reader.page.reload()
    expect(reader.page.get_by_role("main").get_by_role("alert")).to_contain_text("Try again in 1 s.")
    busy.is_on = False

    expect(reader.see("activity-event").first).to_be_visible()


def test_what_needs_somebody_is_read_again_when_a_busy_server_says(reader: Person, talk: Talk) -> None:
    talk.run.api.post(f"{talk.run.path}/questions", {"question": "Which one?"}, 201)
    busy = Busy()
    reader.page.route("**/api/inbox", busy.answer)
    # From before the page is there: the timer by which it looks again in any case stands still, too.
    reader.page.clock.install()
    reader.page.goto(f"{reader.url}/#/inbox")
    with reader.page.expect_response(lambda reply: reply.status == 503):
        reader.page.reload()
    expect(reader.page.get_by_role("main").get_by_role("alert")).to_contain_text("Try again in 1 s.")
    stop_clock(reader.page)
    with reader.page.expect_response(lambda reply: reply.status == 503):
        reader.page.get_by_role("main").get_by_role("button", name="Try again").click()
    busy.is_on = False

    reader.page.clock.run_for(4_000)

    expect(reader.see("inbox-item").first).to_be_visible()


def test_a_title_from_right_to_left_keeps_its_full_stop_within_a_sentence(
    reader: Person, talk: Talk, quiet_api: Caller
) -> None:
    title = "إصلاح صفحة الدخول."
    project = talk.task["projectId"]
    first = {"projectId": project, "title": title, "requiredCapabilities": ["none"]}
    before = quiet_api.post("/tasks", first, 201)["task"]["id"]
    second = {"projectId": project, "title": "Next", "requiredCapabilities": ["none"], "dependsOn": [before]}
    after = quiet_api.post("/tasks", second, 201)["task"]["id"]

    reader.page.goto(f"{reader.url}/#/projects/{project}/tasks/{after}")

    # Between these two marks, a text has its own direction, and nothing around it takes part.
    expect(reader.see("next-step")).to_contain_text(f"Waits for “\u2068{title}\u2069”")
    assert reader.problems == []
