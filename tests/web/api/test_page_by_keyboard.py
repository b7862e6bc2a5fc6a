"""Where the focus is after something was done with the keyboard, and what a screen reader is given to say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.values.states import Role
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def ada(at_the_page: Callable[[str, Role], PageReader]) -> PageReader:
    """An administrator."""
    return at_the_page("ada", Role.ADMIN)


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
