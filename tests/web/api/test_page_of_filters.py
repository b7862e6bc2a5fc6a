"""The filter of the board at the page."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World


def test_the_filter_is_folded_away_and_says_that_it_holds(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    plain_world.task(project)
    reader.open(f"#/projects/{project.id}/tasks?priority=urgent&mine=true")
    button = reader.see("board-filter")
    expect(reader.see("board-filters")).to_be_visible()

    button.click()

    expect(reader.see("board-filters")).to_have_count(0)
    expect(button).to_have_text("Filter (2)")
    button.click()
    reader.see("filter-clear").click()
    expect(reader.see("task-card")).to_be_visible()
    button.click()
    expect(reader.see("board-filters")).to_have_count(0)
    expect(button).to_have_text("Filter")
    # One that comes then shows its fields.
    reader.see("task-search").fill("Nothing")
    expect(reader.see("board-filters")).to_be_visible()
