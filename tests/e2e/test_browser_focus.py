"""Where the keyboard goes after something is opened, done or over: to what a person looks at."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller
from tests.e2e.instance import Instance
from tests.e2e.talk import Talk

pytestmark = pytest.mark.slow

END_SESSION = """async () => {
  const { accessToken } = JSON.parse(localStorage["aiworker.session"]);
  await fetch("/api/auth/logout", { method: "POST", headers: { Authorization: `Bearer ${accessToken}` } });
}"""
"""As an administrator or another device of the same person would: the page is told by a reply."""


def look_at(person: Person, talk: Talk, tab: str = "") -> None:
    person.page.goto(f"{person.url}/#/projects/{talk.task['projectId']}/tasks/{talk.task['id']}{tab}")
    person.wait("task-state")


def test_a_reason_that_is_typed_after_reject_is_a_reason(reader: Person, talk: Talk, quiet_api: Caller) -> None:
    """The letter a and a space would approve, were they keys of the page."""
    talk.run.complete({"greeting.txt": "hola\n"})
    look_at(reader, talk, "/review")
    reader.wait("task-state", state="ready_to_test")
    expect(reader.see("review-finish")).to_be_visible()

    reader.click("task-reject")
    reader.page.keyboard.type("because so")

    expect(reader.see("reject-reason")).to_have_value("because so")
    assert quiet_api.get(f"/tasks/{talk.task['id']}")["task"]["state"] == "ready_to_test"
    reader.page.keyboard.press("Escape")
    expect(reader.see("reject-reason")).to_have_count(0)
    expect(reader.see("task-reject")).to_be_focused()
    reader.click("task-reject")
    expect(reader.see("reject-reason")).to_have_value("because so")
    assert reader.problems == []


def test_who_has_to_sign_in_again_can_type_the_password_at_once(
    reader: Person, talk: Talk, quiet_instance: Instance
) -> None:
    look_at(reader, talk)
    reader.see("comment-body").fill("Half written")

    reader.page.evaluate(END_SESSION)

    expect(reader.see("login-lead")).to_contain_text("Your session has ended")
    reader.page.keyboard.type(quiet_instance.password)
    reader.page.keyboard.press("Enter")
    expect(reader.see("comment-body")).to_have_value("Half written")
    assert reader.problems == []


def test_who_signs_in_with_enter_begins_at_the_top_of_the_page(
    chromium_browser: Browser, quiet_instance: Instance
) -> None:
    someone = Person(chromium_browser, quiet_instance.url)
    someone.open()
    someone.fill("login-username", "admin")
    someone.fill("login-password", quiet_instance.password)
    someone.page.keyboard.press("Enter")
    expect(someone.page.get_by_role("main").get_by_role("heading").first).to_be_visible()
    someone.wait("live-status", state="on")
    someone.page.keyboard.press("Tab")
    expect(someone.page.get_by_role("link", name="Skip to content")).to_be_focused()
    someone.close()


def test_the_open_card_is_in_sight_when_one_comes_back_to_the_board(reader: Person, quiet_api: Caller) -> None:
    project = quiet_api.post("/projects", {"name": "Many"}, 201)["project"]["id"]
    for number in range(24):
        body = {"projectId": project, "title": f"Task {number}", "requiredCapabilities": ["none"]}
        quiet_api.post("/tasks", body, 201)
    reader.page.goto(f"{reader.url}/#/projects/{project}/tasks")
    card = reader.see("task-card").filter(has=reader.page.get_by_text("Task 0", exact=True))
    card.click()
    reader.click("task-open")
    expect(reader.see("task-tab-details")).to_be_visible()

    reader.page.go_back()

    expect(reader.page.get_by_role("complementary").get_by_role("heading", name="Task 0")).to_be_visible()
    expect(card).to_be_in_viewport()
    assert reader.problems == []


def test_a_clipboard_that_is_refused_is_told_in_the_words_of_the_page(reader: Person, talk: Talk) -> None:
    reader.page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new DOMException('denied'));")
    reader.page.goto(f"{reader.url}/#/projects/{talk.task['projectId']}/settings")
    reader.page.reload()

    reader.page.get_by_role("button", name="Copy", exact=True).first.click()

    expect(reader.see("toast")).to_contain_text("Select the text and copy it by hand.")
    assert reader.problems == []


def test_a_page_that_was_opened_while_the_server_was_busy_comes_by_itself(reader: Person) -> None:
    answers = [503, 503]

    def answer(route: Route) -> None:
        if answers:
            route.fulfill(status=answers.pop(), headers={"Retry-After": "1"}, json={"error": "Busy"})
        else:
            route.continue_()

    reader.page.route("**/api/auth/me", answer)
    reader.page.reload()
    expect(reader.page.get_by_role("alert")).to_contain_text("Try again in 1 s.")

    expect(reader.see("who")).to_be_visible()
    assert answers == []


def test_the_content_is_skipped_to_on_a_phone_too(reader: Person, talk: Talk) -> None:
    reader.page.set_viewport_size({"width": 390, "height": 800})
    look_at(reader, talk)
    expect(reader.page.get_by_role("banner")).to_be_visible()

    reader.page.get_by_role("link", name="Skip to content").focus()
    reader.page.keyboard.press("Enter")

    expect(reader.see("task-open")).to_be_focused()
