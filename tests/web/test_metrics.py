"""What /metrics tells of the platform itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from common.database import engines
from common.services.spend.model_calls import record_calls
from common.settings import settings
from common.values.states import ProjectState, TaskState
from tests.ports import free_port
from tests.web.api.test_spend import a_call
from tests.web.conftest import AppOn
from tests.web.factories import a_project, a_task, set_state


def read(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Every sample of ours: (name, values of its labels…) → value."""
    reply = client.get("/metrics")
    assert reply.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
        if sample.name.startswith("aiworker_")
    }


def test_what_there_is_is_counted_by_its_state(app: Flask, admin: FlaskClient) -> None:
    project = admin.post("/api/projects", json={"name": "Shop"}).json["project"]
    for title in ("One", "Two"):
        assert admin.post("/api/tasks", json={"projectId": project["id"], "title": title}).status_code == 201
    cancelled = admin.post("/api/tasks", json={"projectId": project["id"], "title": "Three"}).json["task"]
    admin.post(f"/api/tasks/{cancelled['id']}/cancel")

    found = read(admin)
    assert found["aiworker_database_up",] == 1
    assert found["aiworker_projects", "provisioning"] == 1
    assert found["aiworker_tasks", "backlog"] == 2
    assert found["aiworker_tasks", "cancelled"] == 1
    assert found["aiworker_jobs", "slow", "queued"] >= 1
    assert found["aiworker_job_late_seconds",] >= 0


def test_tasks_that_an_agent_could_begin_are_counted(app: Flask, admin: FlaskClient, viewer: FlaskClient) -> None:
    shop, hidden = a_project("Shop", max_parallel_tasks=2), a_project("Hidden", is_restricted=True)
    for project in (shop, hidden):
        set_state(project, ProjectState.ACTIVE)
    first, answered = a_task(shop), a_task(shop, "Answered")
    set_state(answered, TaskState.IN_PROGRESS, phase_="queued")
    a_task(shop, "Behind the first", depends_on=[first.id])
    set_state(a_task(shop, "Capped"), TaskState.BACKLOG, error="A cap of spending is reached: the day's")
    a_task(a_project("Coming"), "Its project is not there yet")
    a_task(hidden)

    assert [read(client)["aiworker_tasks_waiting",] for client in (admin, viewer)] == [3, 2]

    set_state(a_task(shop, "Asks"), TaskState.NEEDS_INPUT)
    assert read(viewer)["aiworker_tasks_waiting",] == 1, "the project has as many under way as it may"


def test_it_answers_without_its_database(
    app_on: AppOn, sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_METRICS_PUBLIC", "1")
    client = app_on(sqlite_database_url).test_client()
    told = read(client)
    assert told["aiworker_database_up",] == 1
    assert not any(sample[0].startswith("aiworker_spend") for sample in told)

    monkeypatch.setenv("AIWORKER_DATABASE_URL", f"mysql+pymysql://nobody@127.0.0.1:{free_port()}/gone")
    settings.cache_clear()
    engines.dispose_engines()

    # What this process counted itself, such as calls of models in other tests, needs no database.
    counted = {sample: value for sample, value in told.items() if sample[0].startswith("aiworker_model_")}
    assert read(client) == {**counted, ("aiworker_database_up",): 0}


def test_a_viewer_counts_only_the_projects_that_exist_for_them(admin: FlaskClient, viewer: FlaskClient) -> None:
    for name, is_restricted in (("Open", False), ("Hidden", True)):
        project = admin.post("/api/projects", json={"name": name, "restricted": is_restricted}).json["project"]
        assert admin.post("/api/tasks", json={"projectId": project["id"], "title": "One"}).status_code == 201
        assert admin.post("/api/tasks", json={"projectId": project["id"], "title": "Two"}).status_code == 201

    everything, seen = read(admin), read(viewer)

    assert (everything["aiworker_projects", "provisioning"], seen["aiworker_projects", "provisioning"]) == (2, 1)
    assert (everything["aiworker_tasks", "backlog"], seen["aiworker_tasks", "backlog"]) == (4, 2)
    slow = ("aiworker_jobs", "slow", "queued")
    assert (everything[slow], seen[slow]) == (2, 1)
    # The scheduler's job belongs to no project.
    assert ("aiworker_jobs", "quick", "queued") in everything
    assert ("aiworker_jobs", "quick", "queued") not in seen


@pytest.mark.usefixtures("within_a_day")
def test_what_today_cost_is_told_to_those_who_see_the_project(
    app: Flask, admin: FlaskClient, viewer: FlaskClient
) -> None:
    hidden = a_project("Hidden", is_restricted=True)
    open_task, hidden_task = a_task(a_project("Open")), a_task(hidden)
    now = datetime.now(UTC)
    record_calls([
        a_call(open_task, at=now), a_call(open_task, at=now, cost_usd=None), a_call(hidden_task, at=now, driver=None),
        a_call(open_task, at=now - timedelta(days=1), model="of-yesterday"),
    ])  # fmt: skip

    everything, seen = read(admin), read(viewer)

    in_open, in_hidden = ("claude", "claude-x", "open"), ("none", "claude-x", hidden.slug)
    assert everything["aiworker_spend_today_usd", *in_open] == 0.5
    assert everything["aiworker_spend_today_tokens", *in_open] == 2260
    assert everything["aiworker_spend_today_usd", *in_hidden] == 0.5
    assert seen["aiworker_spend_today_usd", *in_open] == 0.5
    assert ("aiworker_spend_today_usd", *in_hidden) not in seen
    assert not any("of-yesterday" in sample for sample in everything)


@pytest.mark.usefixtures("within_a_day")
def test_an_admin_sees_how_much_of_the_platforms_caps_is_used(admin: FlaskClient, viewer: FlaskClient) -> None:
    assert not any(sample[0] == "aiworker_cap_used_ratio" for sample in read(admin))
    caps = {"day": {"costUsd": 2}, "total": {"tokens": 1000}, "task": {"runs": 1}}
    assert admin.patch("/api/caps", json=caps).status_code == 200
    record_calls([a_call(a_task(a_project("Shop")), at=datetime.now(UTC))])

    found = {sample: value for sample, value in read(admin).items() if sample[0] == "aiworker_cap_used_ratio"}

    of_day, of_total = ("costUsd", "day", "platform"), ("tokens", "total", "platform")
    # What was read from a cache counts as money, and not as tokens.
    assert found == {("aiworker_cap_used_ratio", *of_day): 0.25, ("aiworker_cap_used_ratio", *of_total): 0.13}
    assert not any(sample[0] == "aiworker_cap_used_ratio" for sample in read(viewer))
    uses = admin.get("/api/caps").json["caps"]["uses"]
    assert [(use["cap"], use["used"]) for use in uses] == [("tokens", 130), ("costUsd", 0.5)]
