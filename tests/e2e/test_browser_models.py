"""Drivers, model providers, spend and caps on the page: what is missing, what agents found, what they used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from tests.doubles.model_server import ModelServer
from tests.doubles.model_wire import Fault
from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.talk import Talk

pytestmark = pytest.mark.slow

MODEL = "scripted-model"
KEY = "sk-ant-a-key-that-nobody-may-see-again"


def without_refusals(person: Person) -> list[str]:
    """Chromium tells of each reply that refused what was sent."""
    return [problem for problem in person.problems if "status of 400" not in problem]


@pytest.fixture
def model_server(quiet_api: Caller) -> Iterator[ModelServer]:
    """The provider of the instance's models: 1 US dollar for 10,000 tokens."""
    with ModelServer() as server:
        body = {"name": "scripted", "api": "anthropic", "baseUrl": server.url, "login": "none",
                "prices": {MODEL: {"input": 100, "output": 100}}}  # fmt: skip
        provider = quiet_api.post("/model-providers", body, 201)["modelProvider"]
        yield server
        quiet_api.delete(f"/model-providers/{provider['id']}", 204)


def call_model(talk: Talk) -> int:
    """One call of the run, as its CLI makes it. Returns the status."""
    models = talk.run.claim["models"]
    message = {"role": "user", "content": "hello"}
    reply = requests.post(
        f"{models['addresses']['anthropic']}/v1/messages",
        headers={"x-api-key": models["token"], "anthropic-version": "2023-06-01"},
        json={"model": MODEL, "max_tokens": 100, "stream": True, "messages": [message]},
        timeout=60,
    )
    return reply.status_code


def test_a_new_platform_says_what_agents_need(reader: Person, quiet_api: Caller) -> None:
    quiet_api.post("/projects", {"name": "First use"}, 201)
    reader.page.reload()
    reader.wait("live-status", state="on")

    expect(reader.wait("first-use")).to_contain_text("Add a model provider or set ANTHROPIC_API_KEY")
    expect(reader.see("first-use")).to_contain_text("run aiworker drivers install claude where the agents run")
    reader.see("first-use").get_by_role("link").click()
    expect(reader.page.get_by_text("No model provider")).to_be_visible()
    assert reader.problems == []


def test_the_ways_to_a_project_stay_and_a_key_is_tried_where_it_is_pasted(reader: Person, quiet_api: Caller) -> None:
    reader.click("project-new")
    reader.page.get_by_role("link", name="Try the sample").click()
    expect(reader.see("import-line")).to_have_text("aiworker project import .")
    expect(reader.wait("connect-driver", driver="claude")).to_contain_text("aiworker drivers install claude")

    reader.fill("connect-secret", KEY)
    reader.click("connect-save")
    reader.wait("provider-test")
    (stored,) = quiet_api.get("/model-providers")["modelProviders"]
    quiet_api.patch(f"/model-providers/{stored['id']}", {"baseUrl": "http://127.0.0.1:9"}, 200)
    reader.click("provider-test")
    expect(reader.wait("provider-tested", ok="false")).to_contain_text("can't be reached")
    assert KEY not in reader.page.content()
    quiet_api.delete(f"/model-providers/{stored['id']}", 204)

    reader.fill("blank-name", "Begun blank")
    reader.click("blank-create")
    expect(reader.page.get_by_role("heading", name="Begun blank")).to_be_visible()
    reader.click("task-new")
    reader.fill("task-description", "What it is about.")
    reader.click("task-steps")
    expect(reader.see("task-description")).to_have_value(re.compile("^What it is about.\n\n```steps\n- say: "))
    reader.click("task-discard")
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
    open_ = {"isConfining": False, "says": "bubblewrap is not installed."}
    said = {"runIds": [], "drivers": ["claude", "codex"], "findings": findings, "sandbox": open_}
    agent.api.post("/runner/heartbeat", said)

    reader.go("Agents")
    row = reader.wait("agents-row", agent_id=agent.id)
    expect(row.get_by_test_id("confinement")).to_have_text("Unconfined")
    expect(row).to_contain_text("claude works")
    expect(row).to_contain_text("codex does not work")
    expect(reader.wait("driver-row", driver="claude")).to_contain_text("Claude Code")
    codex = reader.see("driver-row", driver="codex")
    codex.locator("summary").click()
    expect(codex).to_contain_text("run `aiworker drivers install codex`")
    row.get_by_role("link").first.click()
    expect(reader.wait("agent-unconfined")).to_contain_text("bubblewrap is not installed.")
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


def test_a_task_at_its_cap_goes_on_when_the_cap_is_raised(
    reader: Person, quiet_api: Caller, model_server: ModelServer, tmp_path: Path
) -> None:
    talk = Talk(quiet_api, tmp_path, "At its cap")
    task = f"/tasks/{talk.task['id']}"
    talk.look(reader)
    reader.click("task-edit")
    reader.fill("task-cap-tokens", "2000")
    reader.page.get_by_role("button", name="Save").click()
    expect(reader.page.get_by_role("dialog")).to_have_count(0)
    assert quiet_api.get(task)["task"]["caps"] == {"tokens": 2000}

    assert [call_model(talk) for _ in range(3)] == [200, 200, 400]
    expect(reader.see("toast").filter(has_text="A task has used")).to_contain_text("of 2,000 tokens")
    talk.run.finish("failed")
    parked = reader.wait("task-parked", code="cap")
    expect(parked).to_contain_text("At its cap")
    expect(reader.see("card-parked")).to_have_text("At its cap")
    reader.click("task-resume")
    expect(reader.see("toast").filter(has_text="leaves")).to_be_visible()
    expect(parked).to_be_visible()

    expect(reader.see("cap-raise-to")).to_have_value("4000")
    reader.click("cap-raise-submit")
    expect(reader.see("task-parked")).to_have_count(0)
    expect(reader.see("card-parked")).to_have_count(0)
    assert quiet_api.get(task)["task"]["caps"] == {"tokens": 4000}
    assert talk.run.agent.claim().claim["task"]["id"] == talk.task["id"]
    assert reader.problems == []


def test_a_task_waits_for_a_limit_and_a_click_ends_the_wait(
    reader: Person, quiet_api: Caller, model_server: ModelServer, tmp_path: Path
) -> None:
    talk = Talk(quiet_api, tmp_path, "At a limit")
    talk.look(reader)
    model_server.every = Fault(status=429, headers={"retry-after": "5400"})

    assert call_model(talk) == 400
    talk.run.finish("failed")
    parked = reader.wait("task-parked", code="limit")
    expect(reader.see("card-parked")).to_have_text(re.compile(r"^Parked until .*\d\d:\d\d$"))
    expect(reader.see("toast").filter(has_text="Parked until")).to_contain_text("At a limit")
    expect(parked.get_by_role("timer")).to_have_text(re.compile("in 1 h (29|30) min"))
    reader.click("task-resume")

    expect(reader.see("toast").filter(has_text="goes on")).to_contain_text("At a limit")
    expect(reader.see("task-parked")).to_have_count(0)
    assert talk.run.agent.claim().claim["task"]["id"] == talk.task["id"]
    assert reader.problems == []


def test_what_was_spent_is_drawn_listed_and_saved(
    reader: Person, quiet_api: Caller, model_server: ModelServer, tmp_path: Path
) -> None:
    talk = Talk(quiet_api, tmp_path, "Spends")
    reader.go("Spend")
    reader.wait("caps-save")
    # The page was read before the call: it shows what is used later, too.
    assert call_model(talk) == 200

    row = reader.wait("spend-row", key=talk.task["projectId"])
    expect(row.get_by_role("link")).to_have_text("Spends")
    expect(reader.see("spend-cards")).to_contain_text("$")
    reader.see("spend-chart").get_by_role("group").press("End")
    expect(reader.see("spend-chart").get_by_role("status")).to_contain_text("Spends $")
    with reader.page.expect_download() as saved:
        reader.click("spend-csv")
    lines = Path(saved.value.path()).read_text("utf-8").splitlines()
    assert saved.value.suggested_filename.startswith("spend-by-project-")
    assert lines[0].startswith("project,label,calls")
    assert any(line.startswith(f"{talk.task['projectId']},Spends,1,") for line in lines)

    reader.see("spend-by").select_option("model")
    expect(reader.wait("spend-row", key=MODEL)).to_contain_text(MODEL)
    assert reader.problems == []


def test_an_admin_caps_the_platform_and_lifts_the_cap(reader: Person, quiet_api: Caller) -> None:
    reader.go("Spend")
    reader.fill("cap-day-costUsd", "-1")
    reader.see("cap-total-tokens").fill("1000000000")
    reader.click("caps-save")
    expect(reader.see("cap-day-costUsd")).to_have_js_property("validity.valid", value=False)
    reader.fill("cap-day-costUsd", "250.5")
    reader.click("caps-save")
    expect(reader.see("toast").filter(has_text="Saved")).to_be_visible()
    saved = quiet_api.get("/caps")["caps"]
    assert (saved["day"], saved["total"]) == ({"costUsd": 250.5}, {"tokens": 1_000_000_000})

    reader.page.reload()
    expect(reader.wait("cap-day-costUsd")).to_have_value("250.5")
    reader.fill("cap-day-costUsd", "")
    reader.fill("cap-total-tokens", "")
    reader.click("caps-save")
    expect(reader.see("toast").filter(has_text="Saved")).to_be_visible()
    saved = quiet_api.get("/caps")["caps"]
    assert (saved["day"], saved["total"]) == ({}, {})
    assert reader.problems == []


def test_a_project_says_what_its_programs_reach_and_may_spend(reader: Person, quiet_api: Caller) -> None:
    project = quiet_api.post("/projects", {"name": "Reaches"}, 201)["project"]
    reader.page.goto(f"{reader.url}/#/projects/{project['id']}/settings")
    reader.page.reload()
    expect(reader.wait("project-egress")).to_have_value("registries")
    reader.fill("project-egress-hosts", "packages.example.com\n*.example.org")
    reader.fill("project-cap-day-costUsd", "5")
    reader.click("project-save")
    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    saved = quiet_api.get(f"/projects/{project['id']}")["project"]
    assert (saved["egress"], saved["egressHosts"]) == ("registries", ["packages.example.com", "*.example.org"])
    assert saved["caps"] == {"day": {"costUsd": 5}}

    reader.see("project-egress").select_option("open")
    expect(reader.page.get_by_text("what an agent reads, it can also send anywhere")).to_be_visible()
    expect(reader.see("project-egress-hosts")).to_have_count(0)
    assert reader.problems == []


def test_a_provider_has_a_fallback_of_the_same_api(
    reader: Person, quiet_api: Caller, model_server: ModelServer
) -> None:
    body = {"name": "other", "api": "anthropic", "baseUrl": model_server.url, "login": "none"}
    other = quiet_api.post("/model-providers", body, 201)["modelProvider"]
    reader.go("Models")
    reader.wait("provider", name="other").get_by_test_id("provider-edit").click()
    reader.see("provider-fallback").select_option("scripted")
    reader.fill("provider-fallback-model", MODEL)
    reader.click("provider-save")

    expect(reader.wait("provider", name="other")).to_contain_text(f"Then scripted: {MODEL}")
    saved = quiet_api.get(f"/model-providers/{other['id']}")["modelProvider"]
    assert (saved["fallback"], saved["fallbackModel"]) == ("scripted", MODEL)
    quiet_api.delete(f"/model-providers/{other['id']}", 204)
    assert reader.problems == []
