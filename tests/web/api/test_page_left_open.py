"""A view that stays open for hours: it shows what is so by now, also where no event tells of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from common.states import Role
from tests.web.page_reader import PageReader
from tests.web.world import World

Arrive = Callable[[str, Role], PageReader]
A_WHILE_MS = 31_000
SOON_MS = 6000
IS_PICTURE = re.compile("^data:image/png")
CLAUDE = {"name": "claude", "canWork": True, "version": "2.0", "says": ""}


@pytest.mark.parametrize("is_alone", [False, True], ids=["among all", "alone"])
def test_the_last_heartbeat_of_an_agent_is_that_of_now(reader: PageReader, plain_world: World, is_alone: bool) -> None:
    plain_world.project()
    agent, agent_id = plain_world.agent()
    reader.page.clock.install()
    reader.open(f"#/agents/{agent_id}" if is_alone else "#/agents")
    heard = reader.page.locator("dl.facts time" if is_alone else "[data-testid=agents-row] time")
    before = heard.get_attribute("datetime")
    assert before

    assert agent.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 200
    reader.page.clock.run_for(A_WHILE_MS)

    expect(heard).not_to_have_attribute("datetime", before)
