"""The way from the first login to a rollback by the keyboard alone, in both schemes, on a wide and a narrow screen.

Nothing here touches the mouse: keys are pressed on what has the focus, and the focus is moved by Tab or the palette.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.browser import Person
from tests.e2e.instance import Instance, running
from tests.patience import PATIENCE_MS

pytestmark = pytest.mark.slow

MOST_TABS = 150
"""More than the most crowded view has."""
_HAS_FOCUS = "element => element === document.activeElement || element.contains(document.activeElement)"
_FOCUSED = """() => {
  const { activeElement: { tagName, dataset, textContent } } = document;
  return `${dataset.testid ?? tagName} ${textContent.slice(0, 30)}`;
}"""
_LEAVE = "() => document.activeElement?.blur()"
_COUNT_POINTERS = """
window.pointed = 0;
addEventListener("pointerdown", () => { window.pointed += 1; }, true);
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("instance")) as started:
        yield started


class Typist:
    """A person without a mouse."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.keys = person.page.keyboard
        person.page.add_init_script(_COUNT_POINTERS)

    def reach(self, target: Locator) -> None:
        """Press Tab until this, or something in it, has the focus."""
        expect(target).to_be_visible(timeout=PATIENCE_MS)
        stops: list[str] = []
        for _press in range(MOST_TABS):
            if target.count() == 1 and target.evaluate(_HAS_FOCUS):
                return
            stops.append(self.person.page.evaluate(_FOCUSED))
            self.keys.press("Tab")
        raise AssertionError(f"{MOST_TABS} times Tab did not lead to {target} but to {stops}")

    def press(self, testid: str, text: str | None = None, *, within: Locator | None = None) -> None:
        """Reach the one with this text, once it can be pressed, and press it. within: looked for only there."""
        target = self.person.see(testid) if within is None else within.get_by_test_id(testid)
        self.press_on(target if text is None else target.filter(has_text=text))

    def press_on(self, target: Locator) -> None:
        """As `press`."""
        expect(target).to_be_enabled(timeout=PATIENCE_MS)
        self.reach(target)
        self.keys.press("Enter")

    def ask(self, text: str) -> None:
        """What Ctrl-K finds first for this text."""
        self.person.page.evaluate(_LEAVE)
        self.keys.press("Control+k")
        expect(self.person.see("palette-input")).to_be_focused()
        self.keys.type(text)
        expect(self.person.see("palette-item").first).to_contain_text(text, ignore_case=True)
        self.keys.press("Enter")


def _released(typist: Typist) -> None:
    """Put what is approved into a group, and take it to production."""
    typist.ask("Groups")
    typist.press("group-new")
    typist.press("group-create")
    typist.press("group-deploy-staging")
    typist.press("group-deploy-production")
    typist.press("group-deploy-production-confirm")
    typist.person.wait("group-status", state="production")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_sample_is_taken_to_production_and_back_by_keys(
    browser: Browser, instance: Instance, scheme: str, width: int
) -> None:
    person = Person(browser, instance.url)
    typist = Typist(person)
    person.page.set_viewport_size({"width": width, "height": 900})
    person.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    person.open()
    expect(person.see("login-password")).to_be_focused()
    typist.keys.type(instance.password)
    typist.keys.press("Enter")

    person.wait("live-status", state="on")
    typist.ask("Welcome")
    typist.press("sample-create")
    # A card that moves from column to column loses the focus.
    person.wait("board-column-ready_to_test").get_by_text("Announce the soup").wait_for()
    typist.press_on(person.card("Announce the soup"))
    person.wait("task-state", state="ready_to_test")
    typist.press("task-approve")
    person.wait("task-state", state="approved")
    _released(typist)
    typist.ask("Board")
    typist.press_on(person.card("Choose the colours"))
    typist.press("question-option", "Warm")
    person.wait("task-state", state="ready_to_test")
    typist.press("task-approve")
    person.wait("task-state", state="approved")
    _released(typist)
    typist.ask("Deployments")
    typist.press("deployment-rollback", within=person.see("environment-production"))
    expect(person.see("rollback-plan")).to_contain_text("Production goes from v2 to v1")
    typist.press("rollback-confirm")
    person.wait("deployment-row", environment="production", status="rolled_back")

    assert person.page.evaluate("window.pointed") == 0
    assert person.problems == []
    person.close()
