"""What the page does where a part of it can't be loaded: after an upgrade of the server, or without a connection."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

FILES = "**/static/bundled/**"


def test_a_part_that_cannot_be_loaded_is_told_and_tried_again(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks")
    expect(reader.see("task-card")).to_have_count(1)
    reader.settle()
    told = reader.see("toast").filter(has_text="This part of the page could not be loaded.")

    def press(what: str) -> Locator:
        if what == "palette-input":
            reader.page.keyboard.press("Control+k")
        else:
            # By the key: what says that the connection is away may lie over the button.
            reader.see({"tasks-titles": "tasks-new", "board-filters": "board-filter"}[what]).press("Enter")
        return reader.see(what)

    for what in ("tasks-titles", "board-filters", "palette-input"):
        reader.page.route(FILES, lambda route: route.fulfill(status=404))
        press(what)
        expect(told).to_have_count(1)
        expect(told.get_by_role("button", name="Reload")).to_be_visible()
        told.get_by_role("button", name="Dismiss").click()
        reader.page.unroute(FILES)

        expect(press(what)).to_be_visible()

        reader.page.keyboard.press("Escape")
