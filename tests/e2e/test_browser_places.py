"""What a person meets on a narrow screen, and behind an address that leads to nothing any more."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Person
from tests.e2e.contract.caller import NOWHERE
from tests.e2e.talk import Talk

pytestmark = pytest.mark.slow

WIDTHS = "sentences => sentences.map(sentence => sentence.getBoundingClientRect().width)"


def test_what_was_proven_can_be_read_on_a_phone(reader: Person, talk: Talk) -> None:
    talk.run.complete({"greeting.txt": "hola\n"})
    reader.page.set_viewport_size({"width": 360, "height": 800})
    reader.page.goto(f"{reader.url}/#/projects/{talk.task['projectId']}/tasks/{talk.task['id']}/review")
    reader.wait("task-state", state="ready_to_test")
    expect(reader.see("task-checks")).to_be_visible()

    sentences = reader.see("task-checks").locator(":is(li, summary) > span:nth-child(2)")
    expect(reader.see("task-checks")).to_contain_text("Head: Passed")
    assert min(sentences.evaluate_all(WIDTHS)) >= 150


def test_the_address_of_a_group_that_is_gone_leads_to_the_others(reader: Person, talk: Talk) -> None:
    leads_to(reader, f"projects/{talk.task['projectId']}/groups", "Groups")


def test_the_address_of_an_agent_that_is_gone_leads_to_the_others(reader: Person) -> None:
    leads_to(reader, "agents", "Agents")


def leads_to(reader: Person, address: str, name: str) -> None:
    reader.page.goto(f"{reader.url}/#/{address}/{NOWHERE}")
    gone = reader.page.get_by_role("main").get_by_role("alert").first
    expect(gone).to_contain_text("There is no such thing, or you may not see it.")
    expect(gone.get_by_role("button")).to_have_count(0)
    gone.get_by_role("link", name=name).click()
    expect(reader.page.get_by_role("heading", name=name, level=1)).to_be_visible()


def test_the_system_s_own_colours_leave_where_one_is_and_how_things_stand(reader: Person, talk: Talk) -> None:
    reader.page.emulate_media(forced_colors="active")
    reader.page.goto(f"{reader.url}/#/projects/{talk.task['projectId']}/tasks/{talk.task['id']}/work")
    reader.wait("task-state", state="in_progress")

    for place in (reader.page.get_by_role("navigation", name="Main").locator("a.on"), reader.see("task-tab-work")):
        expect(place).to_have_css("outline-style", "solid")
    expect(reader.see("task-tab-details")).to_have_css("outline-style", "none")
    ways = "mark => getComputedStyle(mark).backgroundColor"
    state = reader.see("task-state").locator("i").evaluate(ways)
    assert reader.see("live-status").evaluate(ways) != state
