"""Texts of people who write from right to left."""

from __future__ import annotations

import pytest

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

_READS_FROM_THE_RIGHT = """element => {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const node = texts.nextNode(), end = node.data.trimEnd().length, range = document.createRange();
  const left = (at) => {
    range.setStart(node, at);
    range.setEnd(node, at + 1);
    return range.getBoundingClientRect().left;
  };
  return left(end - 1) < left(node.data.search(/\\S/));
}"""
"""Whether the last character of an element's text stands left of the first one."""


def test_a_title_in_arabic_ends_on_its_left(reader: PageReader, plain_world: World) -> None:
    title = "أضف صفحة تسجيل الدخول."
    project = plain_world.project()
    task = plain_world.task(project, title, description=f"{title}\n\n- {title}", state="ready_to_test")
    of_project = f"#/projects/{project.id}/tasks"

    for address, selector in (
        (of_project, ".card-title"),
        (f"{of_project}/{task.id}", ".task-head h1"),
        (f"{of_project}/{task.id}", ".md p"),
        (f"{of_project}/{task.id}", ".md li"),
        (f"{of_project}/{task.id}/review", ".task-head h1"),
        ("#/inbox", ".row-main b"),
    ):
        reader.open(address)
        assert reader.page.locator(selector).first.evaluate(_READS_FROM_THE_RIGHT), selector
