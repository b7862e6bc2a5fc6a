"""Model providers and caps on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from tests.doubles.model_server import ModelServer
from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller
from tests.e2e.scripted_run import ScriptedRun

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


def call_model(talk: ScriptedRun) -> int:
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


def test_a_task_at_its_cap_goes_on_when_the_cap_is_raised(
    reader: Person, quiet_api: Caller, model_server: ModelServer, tmp_path: Path
) -> None:
    talk = ScriptedRun(quiet_api, tmp_path, "At its cap")
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
