"""The documentation in a real browser: on a phone, by keyboard, in both schemes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import expect

from tests.app_server import served
from tests.e2e.browser import Person, chromium
from web.documentation import documents
from web.page import page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def person(chromium_path: str) -> Iterator[Person]:
    """Somebody who is signed in nowhere; there is nothing but the page's files."""
    app = Flask("page", static_folder=None)
    app.register_blueprint(page)
    with served(app, waits=False) as port, chromium(chromium_path) as browser:
        someone = Person(browser, f"http://127.0.0.1:{port}")
        yield someone
        someone.close()


def test_every_page_fits_a_phone_and_is_led_to_by_keyboard(person: Person) -> None:
    browsed = person.page
    browsed.set_viewport_size({"width": 360, "height": 740})
    widths = {}
    for name in sorted(name for name in documents.names() if "/" not in name):
        browsed.goto(f"{person.url}{documents.address(name)}")
        widths[name] = browsed.evaluate("document.documentElement.scrollWidth")
    assert {name: width for name, width in widths.items() if width > 360} == {}

    browsed.goto(f"{person.url}/docs")
    browsed.get_by_text("All pages", exact=True).focus()
    browsed.keyboard.press("Enter")
    browsed.get_by_role("navigation", name="All pages").get_by_role("link", name="Concepts", exact=True).focus()
    browsed.keyboard.press("Enter")
    expect(browsed.get_by_role("heading", name="Concepts", level=1)).to_be_visible()
    browsed.wait_for_load_state()  # of the pictures, too
    pictures = browsed.locator("main img").evaluate_all("all => all.map(one => one.complete && one.naturalWidth)")
    assert pictures == [800, 630]

    browsed.keyboard.press("Tab")
    expect(browsed.get_by_role("link", name="Skip to content")).to_be_focused()
    assert person.problems == []


def test_a_page_follows_the_scheme_of_the_browser(person: Person) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        person.page.goto(f"{person.url}/docs/settings")
        backgrounds.add(person.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert backgrounds == {"rgb(252, 252, 253)", "rgb(16, 17, 19)"}
    assert person.problems == []
