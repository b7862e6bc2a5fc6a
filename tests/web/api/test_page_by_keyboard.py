"""Where the focus is after something was done with the keyboard, and what a screen reader is given to say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from common.states import Role
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

_COMPOSE = """field => field.dispatchEvent(
  new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))"""
_PASTE = """field => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File(["picture"], "dot.png", { type: "image/png" }));
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""
_TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def ada(at_the_page: Callable[[str, Role], PageReader]) -> PageReader:
    """An administrator."""
    return at_the_page("ada", Role.ADMIN)


def _answer_late(reader: PageReader, address: str, meanwhile: Callable[[], None]) -> None:
    """Changes at this address are answered when the browser has drawn that it waits, and after `meanwhile`."""

    def late(route: Route) -> None:
        if route.request.method != "GET":
            reader.page.evaluate(_TWO_FRAMES)
            meanwhile()
        route.fallback()

    reader.page.route(address, late)


def _nothing() -> None:
    pass


def test_a_button_keeps_the_focus_over_what_it_does(ada: PageReader) -> None:
    _answer_late(ada, "**/api/agents/enrolment-tokens", _nothing)
    ada.open("#/admin")
    button = ada.see("enrolment-new")
    button.focus()

    ada.page.keyboard.press("Enter")

    expect(ada.see("secret")).to_be_visible()
    expect(button).to_be_focused()


@pytest.mark.parametrize("description", ["A museum.", "x" * 10_001])
def test_saving_settings_keeps_the_focus(ada: PageReader, plain_world: World, description: str) -> None:
    project = plain_world.project(description="A shop.")
    _answer_late(ada, f"**/api/projects/{project.id}", _nothing)
    ada.open(f"#/projects/{project.id}/settings")
    ada.page.locator("[name=description]").fill(description)
    save = ada.see("project-save")
    save.focus()

    ada.page.keyboard.press("Enter")

    expect(ada.page.get_by_text("Saved.").or_(ada.page.locator(".fault"))).to_be_visible()
    expect(save).to_be_focused()


def test_who_goes_elsewhere_while_a_button_is_at_work_stays_there(ada: PageReader) -> None:
    address = ada.see("webhook-url")
    _answer_late(ada, "**/api/agents/enrolment-tokens", address.focus)
    ada.open("#/admin")
    ada.see("enrolment-new").focus()

    ada.page.keyboard.press("Enter")

    expect(ada.see("secret")).to_be_visible()
    ada.settle()
    expect(address).to_be_focused()


def test_a_field_is_described_by_its_hint_and_by_what_is_wrong(ada: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    ada.open(f"#/projects/{project.id}/settings")
    path, policy = ada.page.get_by_label("Health path"), ada.page.get_by_label("Tests that do not run any more")
    expect(path).to_have_accessible_description("A healthy version answers below 400.")
    expect(policy).to_have_accessible_description(
        "Tests of the default branch that were deleted, skipped or emptied. A renamed test is known by its body."
    )
    expect(path).not_to_have_attribute("aria-invalid", "true")

    path.fill("nowhere")
    ada.see("project-save").click()

    expect(path).to_have_attribute("aria-invalid", "true")
    expect(path).to_have_accessible_description(
        "A healthy version answers below 400. Health path: Must be a path that starts with /, of at most 500 characters"
    )


def test_enter_that_ends_the_writing_of_a_word_chooses_nothing_in_the_palette(
    ada: PageReader, plain_world: World
) -> None:
    project = plain_world.project()
    ada.open(f"#/projects/{project.id}/tasks")
    expect(ada.see("task-new")).to_be_visible()
    ada.page.keyboard.press("Control+k")
    field = ada.see("palette-input")
    expect(field).to_be_focused()
    field.fill("agents")

    field.evaluate(_COMPOSE)

    ada.settle()
    expect(field).to_have_value("agents")
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_role("heading", name="Agents")).to_be_visible()


def test_a_message_is_shown_above_a_dialog_that_is_open(ada: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project)
    ada.page.set_viewport_size({"width": 360, "height": 640})
    ada.page.route("**/attachments*", lambda route: route.fulfill(status=413, json={"error": "Too large"}))
    ada.open(f"#/projects/{project.id}/tasks/{task.id}")
    ada.see("task-edit").click()

    ada.page.locator("dialog textarea[name=description]").evaluate(_PASTE)

    message = ada.page.get_by_role("dialog").get_by_role("alert")
    expect(message).to_have_text("That is too large.")
    message.get_by_role("button", name="Dismiss").click()
    expect(ada.see("toast")).to_have_count(0)

    ada.page.locator("dialog textarea[name=description]").evaluate(_PASTE)
    expect(message).to_be_visible()
    ada.page.keyboard.press("Escape")
    expect(ada.page.get_by_role("dialog")).to_have_count(0)
    expect(ada.see("toast")).to_have_text("That is too large.")


def test_after_a_row_is_removed_the_focus_is_on_the_next_one(ada: PageReader, plain_world: World) -> None:
    for name in ("ben", "cem", "dan"):
        plain_world.client_of(name, Role.VIEWER)
    rows = ada.see("user-row")
    ada.open("#/admin")
    expect(rows).to_have_count(5)

    def remove(name: str) -> None:
        rows.filter(has_text=name).get_by_role("button", name="Remove").focus()
        ada.page.keyboard.press("Enter")
        ada.page.keyboard.type(name)
        ada.page.keyboard.press("Enter")
        expect(rows.filter(has_text=name)).to_have_count(0)

    remove("cem")  # The newest is first.
    expect(rows.filter(has_text="ben")).to_be_focused()
    ada.page.keyboard.press("Tab")
    expect(rows.filter(has_text="ben").get_by_role("button", name="Edit")).to_be_focused()
    # The row is no stop of the Tab key any more.
    expect(rows.filter(has_text="ben")).not_to_have_attribute("tabindex", "-1")


def test_after_the_last_row_is_removed_the_focus_is_on_the_heading(ada: PageReader) -> None:
    ada.open("#/account")
    # The one of ada's client.
    ada.page.get_by_role("button", name="Revoke").focus()

    ada.page.keyboard.press("Enter")
    ada.page.get_by_role("dialog").get_by_role("button", name="Revoke").focus()
    ada.page.keyboard.press("Enter")

    expect(ada.page.get_by_text("No tokens")).to_be_visible()
    expect(ada.page.get_by_role("heading", name="Account")).to_be_focused()


@pytest.mark.parametrize("where", ["", "/review"])
def test_after_an_act_whose_button_goes_the_focus_is_on_what_it_was_in(
    ada: PageReader, plain_world: World, where: str
) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Greet", state="failed", description="Say hello.")
    ada.open(f"#/projects/{project.id}/tasks/{task.id}{where}")
    ada.see("task-retry").focus()

    ada.page.keyboard.press("Enter")

    expect(ada.see("task-retry")).to_have_count(0)
    expect(ada.page.get_by_role("heading", name="Greet")).to_be_focused()
