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
