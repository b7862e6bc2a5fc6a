"""What is pasted into a text or dropped on the page, and is not meant as a picture."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

GIVE = """(field, [kind, type, name, text]) => {
  const given = new DataTransfer();
  given.items.add(new File(["content"], name, { type }));
  if (text) for (const one of ["text/plain", "text/html"]) given.setData(one, text);
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { clipboardData: given, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: given, bubbles: true, cancelable: true });
  return field.dispatchEvent(event);
}"""
"""Tells whether the browser goes on with it."""


@pytest.fixture
def reader(reader: PageReader, plain_world: World) -> PageReader:
    """Somebody who writes a task."""
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/tasks")
    reader.see("task-new").click()
    expect(reader.see("task-description")).to_be_visible()
    return reader


def test_cells_of_a_spreadsheet_are_pasted_as_their_text(reader: PageReader) -> None:
    field = reader.see("task-description")

    assert field.evaluate(GIVE, ["paste", "image/png", "image.png", "Coffee 2.40"])

    assert not field.evaluate(GIVE, ["paste", "image/png", "image.png", ""])
    expect(reader.see("task-file")).to_have_count(1)
    expect(field).to_have_value("![image.png](<image.png>)")


def test_a_file_that_is_no_picture_is_not_opened_when_it_is_dropped_on_a_text(reader: PageReader) -> None:
    field = reader.see("task-description")

    assert not field.evaluate(GIVE, ["drop", "text/plain", "notes.txt", ""])

    expect(reader.see("toast")).to_contain_text("Only pictures go into a text.")
    expect(field).to_have_value("")


def test_a_file_can_only_be_dropped_where_it_is_taken(reader: PageReader) -> None:
    assert not reader.see("task-title").evaluate(GIVE, ["dragover", "text/plain", "notes.txt", ""])
    assert not reader.page.locator("body").evaluate(GIVE, ["dragover", "text/plain", "notes.txt", ""])
