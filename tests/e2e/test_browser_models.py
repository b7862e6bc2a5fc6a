"""Drivers, model providers and spend on the page: what is missing at first, what agents found, keys never shown."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent

KEY = "sk-ant-a-key-that-nobody-may-see-again"


def without_refusals(person: Person) -> list[str]:
    """Chromium tells of each reply that refused what was sent."""
    return [problem for problem in person.problems if "status of 400" not in problem]


def test_a_new_platform_says_what_agents_need(reader: Person, quiet_api: Caller) -> None:
    quiet_api.post("/projects", {"name": "First use"}, 201)
    reader.page.reload()
    reader.wait("live-status", state="on")

    expect(reader.wait("first-use")).to_contain_text("Add a model provider or set ANTHROPIC_API_KEY")
    reader.see("first-use").get_by_role("link").click()
    expect(reader.page.get_by_text("No model provider")).to_be_visible()
    assert reader.problems == []


def test_a_provider_is_added_changed_and_removed_and_its_key_never_shown(reader: Person, quiet_api: Caller) -> None:
    reader.go("Models")
    reader.click("provider-new")
    reader.fill("provider-name", "Not A Name")
    reader.fill("provider-key", KEY)
    reader.click("provider-save")
    name = reader.page.locator(".field.wrong")
    expect(name).to_contain_text("Name")
    expect(name).to_contain_text("lower-case")

    reader.fill("provider-name", "ours")
    reader.fill("provider-models", "claude-sonnet-4-5\nclaude-haiku-4-5")
    reader.fill("provider-prices", "claude-sonnet-4-5 three 15")
    reader.click("provider-save")
    expect(reader.page.locator(".field.wrong")).to_contain_text("Prices")
    reader.fill("provider-prices", "claude-sonnet-4-5 3 15 0.3")
    reader.click("provider-save")

    expect(reader.wait("provider", name="ours")).to_contain_text("Key is set")
    stored = quiet_api.get("/model-providers")["modelProviders"][0]
    assert stored["baseUrl"] == "https://api.anthropic.com"
    assert stored["prices"] == {"claude-sonnet-4-5": {"input": 3, "output": 15, "cached": 0.3}}
    reader.click("provider-edit")
    expect(reader.see("provider-key")).to_have_value("")
    expect(reader.see("provider-prices")).to_have_value("claude-sonnet-4-5 3 15 0.3")
    reader.fill("provider-models", "claude-sonnet-4-5")
    reader.click("provider-save")
    expect(reader.wait("provider", name="ours")).not_to_contain_text("haiku")
    expect(reader.see("provider", name="ours")).to_contain_text("Key is set")
    assert KEY not in reader.page.content()
    assert KEY not in str(reader.page.evaluate("[JSON.stringify(localStorage), JSON.stringify(sessionStorage)]"))

    reader.click("provider-remove")
    reader.click("provider-remove-confirm")
    expect(reader.page.get_by_text("No model provider")).to_be_visible()
    assert quiet_api.get("/model-providers")["modelProviders"] == []
    assert without_refusals(reader) == []


def test_each_driver_of_an_agent_says_what_it_lacks(reader: Person, quiet_api: Caller, tmp_path: Path) -> None:
    agent = FakeAgent(quiet_api, tmp_path)
    findings = [
        {"name": "claude", "canWork": True, "says": "Claude Code is there.", "version": "2.1.331"},
        {"name": "codex", "canWork": False, "says": "Not installed: run `aiworker drivers install codex`."},
    ]
    agent.api.post("/runner/heartbeat", {"runIds": [], "drivers": ["claude", "codex"], "findings": findings})

    reader.go("Agents")
    row = reader.wait("agents-row", agent_id=agent.id)
    expect(row).to_contain_text("claude works")
    expect(row).to_contain_text("codex does not work")
    expect(reader.wait("driver-row", driver="claude")).to_contain_text("Claude Code")
    codex = reader.see("driver-row", driver="codex")
    codex.locator("summary").click()
    expect(codex).to_contain_text("run `aiworker drivers install codex`")
    row.get_by_role("link").first.click()
    expect(reader.wait("finding", driver="codex", works="false")).to_contain_text("Not installed")
    expect(reader.wait("finding", driver="claude", works="true")).to_contain_text("2.1.331")

    broken = [{**finding, "canWork": False, "says": "It is gone."} for finding in findings]
    agent.api.post("/runner/heartbeat", {"runIds": [], "drivers": ["claude", "codex"], "findings": broken})
    expect(reader.wait("agent-error")).to_contain_text("It is gone.")
    assert reader.problems == []


def test_spend_of_a_platform_without_calls_is_empty(reader: Person) -> None:
    reader.go("Spend")

    expect(reader.page.get_by_text("Nothing was used in this time.")).to_be_visible()
    reader.see("spend-by").select_option("model")
    expect(reader.page.get_by_text("Nothing was used in this time.")).to_be_visible()
    assert reader.problems == []


def test_a_project_and_a_task_name_their_driver_and_model(reader: Person, quiet_api: Caller) -> None:
    project = quiet_api.post("/projects", {"name": "Chooses"}, 201)["project"]
    reader.page.goto(f"{reader.url}/#/projects/{project['id']}/settings")
    reader.page.reload()
    reader.fill("driver", "nothing")
    reader.click("project-save")
    expect(reader.page.locator(".field.wrong")).to_contain_text("Driver")
    expect(reader.page.locator(".field.wrong")).to_contain_text("claude")
    reader.fill("driver", "claude")
    reader.fill("model", "claude-sonnet-4-5")
    reader.page.get_by_label("Deadline for answers").fill("60")
    reader.click("project-save")
    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    saved = quiet_api.get(f"/projects/{project['id']}")["project"]
    assert (saved["driver"], saved["model"]) == ("claude", "claude-sonnet-4-5")
    assert saved["questionRules"] == {"deadlineMinutes": 60}

    reader.go("Board")
    reader.click("task-new")
    reader.fill("task-title", "With another")
    reader.page.get_by_text("More", exact=True).click()
    expect(reader.page.locator("#known-drivers option[value=codex]")).to_have_count(1)
    reader.fill("driver", "codex")
    reader.click("task-create")
    reader.see("task-card").filter(has_text="With another").click()
    expect(reader.page.locator(".facts")).to_contain_text("codex")
    assert without_refusals(reader) == []
    # It names no capability: another test's agent could be given it.
    made = quiet_api.get(f"/tasks?projectId={project['id']}")["tasks"][0]
    quiet_api.post(f"/tasks/{made['id']}/cancel")
