"""How the page names agents, and what it says of their drivers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

NAME = "builder-7"


def test_an_agent_has_its_name_wherever_it_is_shown(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(has_repository=True)
    task = plain_world.task(project)
    agent, agent_id = plain_world.agent(podName=NAME)
    run, claim = plain_world.claim(agent)

    reader.open(f"#/projects/{project.id}/tasks")
    chip = reader.see("task-card").locator(".chip.agent")
    expect(chip).to_have_text(NAME)
    expect(chip).to_have_attribute("title", agent_id)
    reader.see("board-filter").click()
    reader.see("filter-agent").select_option(label=NAME)
    expect(reader.see("task-card")).to_have_count(1)
    reader.open(f"#/projects/{project.id}/activity")
    told = reader.see("activity-event")
    expect(told.filter(has_text="is busy")).to_contain_text(f"noted that {NAME} is busy")
    report = {"outcome": "cancelled", "summary": "stopped"}
    assert run.post(f"/api/runner/runs/{claim['run']['id']}/finish", json=report).status_code == 200
    reader.page.reload()
    expect(told.filter(has_text="is idle")).to_have_text(re.compile(f"^{NAME} is idle"))
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/details")
    expect(reader.page.get_by_role("link", name=NAME).first).to_have_attribute("href", f"#/agents/{agent_id}")
    expect(reader.page.get_by_text(agent_id)).to_have_count(0)
