"""Where the keyboard goes after something is opened, done or over: to what a person looks at."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

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
