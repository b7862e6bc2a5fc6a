"""What two people change at once in one form: nothing of the other is taken back unseen. Projects' settings have tests
of their own.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.models import Task
from common.values.states import Role
from tests.web.page_reader import PageReader
from tests.web.world import World, get, put

pytestmark = pytest.mark.slow

SOMEBODY_ELSE = "Somebody else changed this too. Save again to replace it."


@pytest.fixture
def ada(at_the_page: Callable[[str, Role], PageReader]) -> PageReader:
    """An administrator."""
    return at_the_page("ada", Role.ADMIN)


def test_saving_the_webhook_sends_only_what_was_changed(ada: PageReader, plain_world: World) -> None:
    bob = plain_world.client_of("bob", Role.ADMIN)
    before = bob.patch("/api/webhook", json={"url": "https://chat.example/hook", "kinds": ["question", "review"]})
    assert before.json["webhook"]["enabled"]
    ada.open("#/admin")
    expect(ada.see("webhook-url")).to_have_value("https://chat.example/hook")
    bob.patch("/api/webhook", json={"enabled": False, "kinds": ["question", "failed"]})

    ada.see("webhook-url").fill("https://chat.example/other")
    ada.page.locator("input[name=review]").uncheck()
    ada.see("webhook-save").click()

    expect(ada.see("toast")).to_contain_text("Saved.")
    webhook = bob.get("/api/webhook").json["webhook"]
    assert (webhook["url"], webhook["enabled"]) == ("https://chat.example/other", False)
    assert webhook["kinds"] == ["question", "failed"]
    expect(ada.page.locator("input[name=enabled]")).not_to_be_checked()

    bob.patch("/api/webhook", json={"url": "https://chat.example/theirs"})
    ada.see("webhook-url").fill("https://chat.example/mine")
    ada.see("webhook-save").click()
    expect(ada.page.get_by_role("alert")).to_contain_text(SOMEBODY_ELSE)
    expect(ada.page.locator(".field.wrong")).to_contain_text("Somebody else saved: https://chat.example/theirs")


def test_a_cap_of_the_platform_that_others_saved_is_told_before_it_is_replaced(
    ada: PageReader, plain_world: World
) -> None:
    bob = plain_world.client_of("bob", Role.ADMIN)
    ada.open("#/spend")
    ada.see("cap-day-costUsd").fill("100")
    bob.patch("/api/caps", json={"day": {"costUsd": 5, "runs": 7}})

    ada.see("caps-save").click()

    expect(ada.page.locator(".fault")).to_have_text(SOMEBODY_ELSE)
    expect(ada.page.locator(".field.wrong")).to_contain_text("Somebody else saved: 5")
    ada.see("caps-save").click()
    expect(ada.see("toast")).to_contain_text("Saved.")
    caps = bob.get("/api/caps").json["caps"]["day"]
    assert (caps["costUsd"], caps["runs"]) == (100, 7)


def _task_being_described(reader: PageReader, world: World) -> Task:
    """A task whose description the reader has begun to change."""
    project = world.project()
    task = world.task(project, description="Short.")
    reader.open(f"#/projects/{project.id}/tasks/{task.id}")
    reader.see("task-edit").click()
    reader.page.locator("dialog textarea[name=description]").fill("An hour of careful writing.")
    return task


def test_a_description_that_others_saved_is_told_before_it_is_replaced(
    source_reader: PageReader, plain_world: World
) -> None:
    page, task = source_reader.page, _task_being_described(source_reader, plain_world)
    # No event tells of it.
    put(Task, task.id, description="An hour of somebody else.", labels=["theirs"])

    page.get_by_role("button", name="Save").click()

    expect(page.locator("dialog .fault")).to_have_text(SOMEBODY_ELSE)
    expect(page.locator("dialog .field.wrong")).to_contain_text("Somebody else saved: An hour of somebody else.")
    assert get(Task, task.id).description == "An hour of somebody else."
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dialog")).to_have_count(0)
    changed = get(Task, task.id)
    assert (changed.description, changed.labels) == ("An hour of careful writing.", ["theirs"])
