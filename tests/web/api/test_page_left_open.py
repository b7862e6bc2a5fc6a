"""A view that stays open for hours: it shows what is so by now, also where no event tells of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Job, Task
from tests.web.api.test_page_kept_fresh import BUSY
from tests.web.live_feed import LiveFeed
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of, put

pytestmark = pytest.mark.slow

A_WHILE_MS = 31_000
SOON_MS = 6000


def test_the_last_heartbeat_of_an_agent_is_that_of_now(reader: PageReader, plain_world: World) -> None:
    plain_world.project()
    agent, agent_id = plain_world.agent()
    reader.page.clock.install()
    reader.open(f"#/agents/{agent_id}")
    heard = reader.page.locator("dl.facts time")
    before = heard.get_attribute("datetime")
    assert before

    assert agent.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 200
    reader.page.clock.run_for(A_WHILE_MS)

    expect(heard).not_to_have_attribute("datetime", before)


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
