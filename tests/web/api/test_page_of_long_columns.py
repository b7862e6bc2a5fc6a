"""Columns of the board that have more tasks than it shows."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def reader(source_reader: PageReader) -> PageReader:
    return source_reader


def test_a_column_says_how_many_tasks_it_has_though_it_shows_fewer(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    for number in range(61):
        plain_world.task(project, f"Task {number}")

    reader.open()

    column = reader.see("board-column-backlog")
    expect(column.get_by_role("heading", name="Backlog")).to_have_text("Backlog 61", use_inner_text=True)
    expect(column.get_by_test_id("task-card")).to_have_count(50)
    reader.see("load-more").click()
    expect(column.get_by_test_id("task-card")).to_have_count(61)
    expect(column.get_by_role("heading", name="Backlog")).to_have_text("Backlog 61", use_inner_text=True)
