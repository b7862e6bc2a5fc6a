"""A view that stays open for hours: it shows what is so by now, also where no event tells of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Route, expect

from common import jobs
from common.models import Job, LogEntry, Run, Task
from common.services.runs import transcripts
from common.services.spend.model_calls import record_calls
from common.states import Role
from common.transaction import Transaction, transactional
from tests.builders import log_in
from tests.png import solid
from tests.web.api.asking import Asking
from tests.web.api.test_caps import a_call
from tests.web.api.test_page_kept_fresh import BUSY
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, put

pytestmark = pytest.mark.slow

Arrive = Callable[[str, Role], PageReader]
A_WHILE_MS = 31_000
SOON_MS = 6000
IS_PICTURE = re.compile("^data:image/png")
PROVIDER = {
    "name": "anthropic",
    "api": "anthropic",
    "baseUrl": "https://api.anthropic.com",
    "login": "key",
    "key": "k",
}
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


def test_ones_tokens_and_sessions_are_those_of_now(reader: PageReader, plain_world: World) -> None:
    reader.page.clock.install()
    reader.open("#/account")
    expect(reader.page.get_by_text("This one")).to_be_visible()
    expect(reader.see("session-end")).to_have_count(0)

    assert plain_world.client.post("/api/tokens", json={"name": "From another window"}).status_code == 201
    log_in(plain_world.app.test_client(), plain_world.max.username)
    reader.page.clock.run_for(A_WHILE_MS)

    expect(reader.page.get_by_text("From another window")).to_be_visible()
    expect(reader.see("session-end")).to_have_count(1)


def test_the_providers_of_models_are_those_of_now(at_the_page: Arrive, plain_world: World) -> None:
    ada = at_the_page("ada", Role.ADMIN)
    ada.page.clock.install()
    ada.open("#/models")
    expect(ada.page.get_by_text("No model provider")).to_be_visible()

    assert plain_world.client_of("bob", Role.ADMIN).post("/api/model-providers", json=PROVIDER).status_code == 201
    ada.page.clock.run_for(A_WHILE_MS)

    expect(ada.page.get_by_text(PROVIDER["baseUrl"])).to_be_visible()


def test_the_webhook_and_its_messages_are_those_of_now(at_the_page: Arrive, plain_world: World) -> None:
    bob = plain_world.client_of("bob", Role.ADMIN)
    assert bob.patch("/api/webhook", json={"url": "https://chat.example/hook"}).status_code == 200
    ada = at_the_page("ada", Role.ADMIN)
    feed = LiveFeed(ada.page)
    ada.page.clock.install()
    ada.open("#/admin")
    expect(ada.see("webhook-url")).to_have_value("https://chat.example/hook")
    expect(ada.see("webhook-delivery")).to_have_count(0)

    assert bob.post("/api/webhook/test").status_code == 202
    ada.page.clock.run_for(A_WHILE_MS)
    expect(ada.see("webhook-delivery")).to_have_count(1)
    assert bob.patch("/api/webhook", json={"url": "https://chat.example/other"}).status_code == 200
    feed.tell("settings:changed", "administration", LiveFeed.SEQ + 1, what="webhook", change="changed")
    ada.page.clock.run_for(SOON_MS)

    expect(ada.see("webhook-url")).to_have_value("https://chat.example/other")


def test_what_is_missing_for_the_first_task_goes_once_it_is_there(at_the_page: Arrive, plain_world: World) -> None:
    project = plain_world.project()
    ada = at_the_page("ada", Role.ADMIN)
    ada.page.clock.install()
    ada.open(f"#/projects/{project.id}/tasks")
    hint = ada.see("first-use")
    expect(hint).to_contain_text("Add a model provider")

    bob = plain_world.client_of("bob", Role.ADMIN)
    assert bob.post("/api/model-providers", json=PROVIDER).status_code == 201
    ada.page.clock.run_for(A_WHILE_MS)
    expect(hint).to_contain_text("No agent has a driver that works yet")
    plain_world.agent(drivers=["scripted", "claude"], findings=[CLAUDE])
    ada.page.clock.run_for(A_WHILE_MS)

    expect(hint).to_have_count(0)


@pytest.mark.parametrize(("view", "row"), [("agents", "driver-row"), ("welcome", "connect-driver")])
def test_a_driver_that_is_installed_meanwhile_is_shown(
    at_the_page: Arrive, plain_world: World, view: str, row: str
) -> None:
    plain_world.project()
    agent, _agent_id = plain_world.agent()
    ada = at_the_page("ada", Role.ADMIN)
    ada.page.clock.install()
    ada.open(f"#/{view}")
    agents_with_claude = ada.see(row).filter(has_text="Claude Code").locator(".badge")
    expect(agents_with_claude).to_have_text("0 agents")

    found = {"drivers": ["scripted", "claude"], "findings": [CLAUDE]}
    assert agent.post("/api/runner/heartbeat", json={"runIds": [], **found}).status_code == 200
    ada.page.clock.run_for(A_WHILE_MS)

    expect(agents_with_claude).to_have_text("1 agent")


def _with_transcript(world: World, count: int) -> Task:
    """A task on which a run works that has said so much."""
    task = world.task(world.project(has_repository=True))
    agent, _agent_id = world.agent()
    run, claim = world.claim(agent)
    lines = [{"level": "info", "kind": "text", "number": at, "message": f"Word {at}."} for at in range(1, count + 1)]
    said = run.post(f"/api/runner/runs/{claim['run']['id']}/logs", json={"lines": lines})
    assert said.status_code < 300, said.json
    return task


def test_a_transcript_that_could_not_be_read_is_read_again(reader: PageReader, plain_world: World) -> None:
    task = _with_transcript(plain_world, 3)
    LiveFeed(reader.page)
    reader.page.clock.install()
    reader.open(f"#/projects/{task.project_id}/tasks")
    expect(reader.see("live-status").first).to_have_attribute("data-state", "on")
    reader.page.route("**/api/runs/*/transcript?*", lambda route: route.fulfill(**BUSY), times=2)

    reader.page.evaluate("hash => { location.hash = hash }", f"#/projects/{task.project_id}/tasks/{task.id}/work")
    expect(reader.page.get_by_role("alert")).to_be_visible()
    reader.page.clock.run_for(SOON_MS)

    expect(reader.see("transcript-count")).to_have_text("3 entries")


def test_a_run_whose_transcript_was_purged_is_not_said_to_have_left_none(
    reader: PageReader, plain_world: World
) -> None:
    task = _with_transcript(plain_world, 3)
    (run,) = all_of(Run, Run.task_id == task.id)
    put(Run, run.id, live_task_id=None, finished_at=run.started_at)
    for entry in all_of(LogEntry):
        put(LogEntry, entry.id, at=entry.at - timedelta(days=31))
    transcripts.purge_transcripts()

    reader.open(f"#/projects/{task.project_id}/tasks/{task.id}/work")

    expect(reader.page.locator(".log-box")).to_have_text("This run left no log, or it was deleted because of its age.")


def test_the_beginning_of_a_transcript_that_could_not_be_read_is_read_again(
    reader: PageReader, plain_world: World
) -> None:
    task = _with_transcript(plain_world, 300)
    LiveFeed(reader.page)
    reader.page.clock.install()
    asked: list[Route] = []

    def fail_the_second(route: Route) -> None:
        asked.append(route)
        if len(asked) == 2:
            route.fulfill(**BUSY)
        else:
            route.fallback()

    reader.page.route("**/api/runs/*/transcript?*limit=*", fail_the_second)
    reader.open(f"#/projects/{task.project_id}/tasks/{task.id}/work")
    expect(reader.see("transcript-count")).to_have_text("250 entries")

    reader.page.clock.run_for(SOON_MS)

    expect(reader.see("transcript-count")).to_have_text("300 entries")


def test_a_picture_that_could_not_be_read_is_read_again(reader: PageReader, plain_world: World) -> None:
    task = plain_world.task(plain_world.project(), description="![dot.png](<dot.png>)")
    files = f"/api/tasks/{task.id}/attachments"
    picture = solid(16, 16, (0, 128, 0))
    sent = plain_world.client.post(f"{files}?name=dot.png", data=picture, content_type="image/png")
    assert sent.status_code == 201
    reader.page.clock.install()
    reader.page.route(f"**{files}/*", lambda route: route.fulfill(**BUSY), times=1)
    with reader.page.expect_response(f"**{files}/*"):
        reader.open(f"#/projects/{task.project_id}/tasks/{task.id}/details")

    reader.page.clock.run_for(SOON_MS)

    expect(reader.see("inline-picture")).to_have_attribute("src", IS_PICTURE)
    expect(reader.see("attachment-picture")).to_have_attribute("src", IS_PICTURE)


def test_what_is_used_of_a_cap_is_what_is_used_by_now(at_the_page: Arrive, plain_world: World) -> None:
    asking = Asking(plain_world)
    ada = at_the_page("ada", Role.ADMIN)
    assert plain_world.client_of("bob", Role.ADMIN).patch("/api/caps", json={"day": {"runs": 9, "tokens": 1000}}).json
    LiveFeed(ada.page)
    ada.page.clock.install()
    ada.open("#/spend")
    bars = ada.see("platform-cap-uses")
    expect(bars).to_contain_text("0 of 1,000 tokens")

    record_calls([a_call(asking, 700)])
    ada.page.clock.run_for(A_WHILE_MS)

    expect(bars).to_contain_text("700 of 1,000 tokens")


def test_all_runs_of_a_task_have_used_no_less_than_its_last_one(reader: PageReader, plain_world: World) -> None:
    asking = Asking(plain_world)
    LiveFeed(reader.page)
    reader.page.clock.install()
    reader.open(f"#/projects/{asking.project.id}/tasks/{asking.task_id}")
    expect(reader.see("task-state")).to_have_text("In progress")
    expect(reader.see("task-spent")).not_to_contain_text("tokens")

    record_calls([a_call(asking, 700)])
    reader.page.clock.run_for(A_WHILE_MS)

    expect(reader.see("task-spent")).to_contain_text("tokens")


def test_a_job_that_is_started_again_is_shown_as_it_ends(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    job = all_of(Job, Job.project_id == project.id)[0]
    put(Job, job.id, state_="failed", live_key=None, error="no space left on device")
    reader.page.clock.install()
    reader.open("#/jobs")
    row = reader.page.locator(f'[data-job-id="{job.id}"]')
    row.get_by_test_id("job-retry").click()
    expect(row.locator(".badge")).to_have_attribute("data-state", "queued")

    # No event tells of it.
    put(Job, job.id, state_="done")
    reader.page.clock.run_for(A_WHILE_MS)

    expect(row.locator(".badge")).to_have_attribute("data-state", "done")


@transactional
def _enqueue(tx: Transaction, count: int, project_id: str) -> None:
    for number in range(count):
        tx.enqueue(jobs.VERIFY_RUN, f"run-{number}", project_id=project_id)


def test_a_long_list_keeps_its_length_when_it_is_read_again(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    _enqueue(230, project.id)
    reader.page.clock.install()
    reader.open("#/jobs")
    rows = reader.page.get_by_test_id("job-row")
    for shown in (50, 100, 150, 200):
        expect(rows).to_have_count(shown)
        reader.see("load-more").click()
    expect(reader.page.get_by_test_id("load-more")).to_have_count(0)
    last = reader.page.locator(f'[data-job-id="{rows.last.get_attribute("data-job-id")}"]')

    put(Job, str(last.get_attribute("data-job-id")), state_="failed", live_key=None, error="no space left on device")
    reader.page.clock.run_for(A_WHILE_MS)

    expect(last.locator(".badge")).to_have_attribute("data-state", "failed")
