"""The page as it is printed: all of a view, dark on light, without what is only for the screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


def test_what_is_printed_is_dark_on_light_and_the_view_alone(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    page = reader.page
    reader.open(f"#/projects/{project.id}/activity")
    expect(reader.see("who")).to_be_visible()
    page.evaluate("document.documentElement.dataset.scheme = 'dark'")

    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()
