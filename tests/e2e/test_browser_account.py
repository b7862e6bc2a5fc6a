"""What the report of a failed test says of its pages."""

from __future__ import annotations

import pytest

from tests.e2e.browser import Person

pytestmark = pytest.mark.slow


def test_a_page_tells_what_it_shows_what_was_pressed_and_its_problems(reader: Person) -> None:
    reader.go("Jobs")
    reader.page.get_by_role("heading", name="Jobs").click()
    reader.page.evaluate("console.error('a problem')")

    told = reader.account().split("Shown:")

    assert told[0].startswith(reader.page.url)
    assert "a problem" in told[0]
    assert "click H1" in told[0].splitlines()[-1]
    assert '- heading "Jobs" [level=1]' in told[1]
    reader.page.close()
    assert reader.account().startswith("The page can't be asked any more: ")
