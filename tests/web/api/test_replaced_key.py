"""What was sealed with another secret key. A request that needs it: a 503 that says what to do; others are answered."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models import Project
from common.services.projects import variables
from common.settings import settings
from common.states import Role
from tests import builders
from tests.web.made import a_project
from tests.web.world import get

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
