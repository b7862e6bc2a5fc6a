"""What was sealed with another secret key. A request that needs it: a 503 that says what to do; others are answered."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.jobs import SEND_WEBHOOK
from common.models import Job, Project
from common.services.outgoing.collecting import collect_notices
from common.services.projects import variables
from common.settings import settings
from common.states import Role
from tests import builders
from tests.web.api.test_webhook import deliveries, patch, reach
from tests.web.made import a_project
from tests.web.world import World, all_of, events, get, run_jobs

ANOTHER = "another secret key, of 32 characters and more"
SAID = {
    "field": "secretKey",
    "message": "stored secrets were sealed with another AIWORKER_SECRET_KEY; the operator has to set that one: "
    "aiworker doctor says how",
}


@pytest.fixture
def ada(app: Flask) -> FlaskClient:
    return builders.client_of(app, builders.a_user("ada", Role.ADMIN))


@pytest.fixture
def shop(ada: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a variable, whose key was replaced since."""
    made = a_project(name="shop", env_vars={"PLAIN": "x"}, secret_env_vars={"KEY": "a secret value"})
    monkeypatch.setenv("AIWORKER_SECRET_KEY", ANOTHER)
    settings.cache_clear()
    variables._cached_mask.cache_clear()
    return made


def test_a_change_of_some_secret_variables_is_refused_for_now_with_the_remedy(ada: FlaskClient, shop: Project) -> None:
    reply = ada.patch(f"/api/projects/{shop.id}", json={"secretEnvVarChanges": {"OTHER": "x"}, "description": "new"})

    assert reply.status_code == 503
    assert set(reply.json) == {"error", "details", "requestId"}
    assert (reply.json["error"], reply.json["details"]) == ("Service unavailable", SAID)
    assert int(reply.headers["Retry-After"]) > 0
    kept = get(Project, shop.id)
    assert (kept.description, kept.secret_env_sealed) == (shop.description, shop.secret_env_sealed)


def test_a_project_that_can_not_be_read_is_listed_without_its_variables(
    app: Flask, ada: FlaskClient, shop: Project
) -> None:
    other = ada.post("/api/projects", json={"name": "other", "envVars": {"PLAIN": "x"}}).json["project"]
    vera = builders.client_of(app, builders.a_user("vera", Role.VIEWER))

    for client, value in ((ada, "x"), (vera, "***")):
        listed = client.get("/api/projects").json["projects"]
        assert [(one["id"], one["envVars"]) for one in listed] == [(other["id"], {"PLAIN": value}), (shop.id, None)]
    read = ada.get(f"/api/projects/{shop.id}").json["project"]
    assert (read["envVars"], read["secretEnvVars"]) == (None, ["KEY"])


def test_other_settings_of_such_a_project_change(ada: FlaskClient, shop: Project) -> None:
    reply = ada.patch(f"/api/projects/{shop.id}", json={"description": "new"})

    assert (reply.status_code, reply.json["project"]["description"]) == (200, "new")
    assert get(Project, shop.id).env_sealed == shop.env_sealed
    assert changed_names() == ["description"]


def test_its_variables_can_be_set_anew(ada: FlaskClient, shop: Project) -> None:
    path = f"/api/projects/{shop.id}"

    secret = ada.patch(path, json={"secretEnvVars": {"KEY": "another value"}})
    assert (secret.status_code, secret.json["project"]["envVars"]) == (200, None)
    assert changed_names() == ["secretEnvVars"]
    clash = ada.patch(path, json={"envVars": {"KEY": "y"}})
    assert (clash.status_code, clash.json["details"]["field"]) == (400, "envVars.KEY")

    plain = ada.patch(path, json={"envVars": {"PLAIN": "y"}})
    assert (plain.status_code, plain.json["project"]["envVars"]) == (200, {"PLAIN": "y"})
    assert changed_names() == ["envVars"]
    assert variables.secrets_of(get(Project, shop.id)) == {"KEY": "another value"}


def changed_names() -> list[str]:
    return json.loads(events("project:status_changed")[-1].data)["data"]["changed"]


def test_what_is_not_sealed_is_still_answered(ada: FlaskClient, shop: Project) -> None:
    created = ada.post("/api/tasks", json={"projectId": shop.id, "title": "Greet"})

    assert created.status_code == 201
    assert ada.get("/api/tasks").json["total"] == 1
    assert ada.post("/api/projects", json={"name": "other", "envVars": {"PLAIN": "x"}}).status_code == 201
    assert len(all_of(Project)) == 2


def test_messages_of_a_webhook_whose_secret_can_not_be_read_wait_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = world.client_of("root", Role.ADMIN)
    patch(admin, url="https://example.com/hook")
    reach(world.task(world.project(), state="in_progress").id, "make_ready")
    monkeypatch.setenv("AIWORKER_SECRET_KEY", ANOTHER)
    settings.cache_clear()

    assert collect_notices() == 1
    run_jobs(SEND_WEBHOOK)

    (job,) = all_of(Job, Job.kind == SEND_WEBHOOK.name)
    assert (job.waits_for, job.attempts, job.error) == ("key", 0, SAID["message"])
    assert [one["state"] for one in deliveries(admin)] == ["waiting"]
