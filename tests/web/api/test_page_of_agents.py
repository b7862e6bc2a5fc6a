"""How the page names agents, and what it says of their drivers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from common.states import Role
from tests import builders
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


def test_an_agent_that_was_removed_keeps_its_id_on_record(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project(has_repository=True)
    task = plain_world.task(project)
    agent, agent_id = plain_world.agent(podName=NAME)
    plain_world.claim(agent)
    assert plain_world.client.post(f"/api/tasks/{task.id}/cancel", json={}).status_code == 200
    assert agent.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 200
    admin = builders.client_of(plain_world.app, builders.a_user("ada", Role.ADMIN))
    assert admin.delete(f"/api/agents/{agent_id}").status_code == 204

    with reader.page.expect_response("**/api/agents?*"):
        reader.open(f"#/projects/{project.id}/activity")

    told = reader.see("activity-event").filter(has_text="is busy")
    expect(told).to_contain_text(f"{agent_id} is busy")


def test_the_page_of_agents_says_what_is_missing_without_pointing_at_itself(
    reader: PageReader, plain_world: World
) -> None:
    plain_world.project()
    plain_world.agent(podName=NAME)
    reader.open("#/agents")

    hint = reader.see("first-use")
    expect(hint).to_be_visible()
    expect(hint.get_by_role("link", name="Agents")).to_have_count(0)
    codex = reader.see("driver-row").filter(has_text="Codex")
    expect(codex).to_contain_text("speaks the OpenAI API")
    expect(codex.locator(".bad-text")).to_have_count(0)


def test_a_driver_that_an_agent_was_not_set_up_for_is_no_fault(reader: PageReader, plain_world: World) -> None:
    found = [{"name": name, "canWork": False, "says": f"{name} is not installed"} for name in ("claude", "codex")]
    _agent, agent_id = plain_world.agent(podName=NAME, drivers=["scripted", "claude"], findings=found)

    reader.open(f"#/agents/{agent_id}")

    findings = reader.see("finding")
    expect(findings.filter(has_text="claude").locator(".badge.bad")).to_have_count(1)
    expect(findings.filter(has_text="codex").locator(".badge.quiet")).to_have_count(1)
