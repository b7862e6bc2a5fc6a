"""The rule that puts flaky tests into quarantine, on the page: where it is set, and what the page Tests says of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.api.test_auto_quarantine import COIN, LUCK, RULE, flakes
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


def test_the_page_says_what_the_rule_did_and_why_it_stopped(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(auto_quarantine=RULE, most_quarantined=1)
    flakes(project, *"abc")
    flakes(project, "d", "e", name=COIN)
    reader.open("#/inbox")
    expect(reader.see("inbox-quarantined")).to_contain_text(LUCK)
    reader.see("inbox-item").click()

    said = reader.see("flaky-test").filter(has_text=LUCK)
    expect(said).to_contain_text(
        "In quarantine by the project's rule, for which maxim answers: red and green on 3 commits"
    )
    expect(reader.see("flaky-test").filter(has_text=COIN)).to_contain_text("The rule counts 2 of 3.")
    rule = reader.see("quarantine-rule")
    expect(rule).to_contain_text("as many tests are in quarantine as the project allows")

    reader.see("release-test").click()
    expect(said).to_contain_text("The rule counts 0 of 3.")
    expect(rule).not_to_contain_text("stopped")
    expect(rule).to_contain_text("on 3 commits goes into quarantine for 7 days. maxim answers for it.")
