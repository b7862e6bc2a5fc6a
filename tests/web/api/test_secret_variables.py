"""Secret variables of a project that change one by one: a request names them, and the others stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models import Project
from common.services.projects.variables import secrets_of
from common.states import Role
from tests import builders
from tests.web.made import a_project
from tests.web.world import events, get


@pytest.fixture
def plain_maintainer(plain_app: Flask) -> FlaskClient:
    return builders.client_of(plain_app, builders.a_user("max", Role.MAINTAINER))


def test_one_secret_variable_is_removed_or_set_alone(maintainer: FlaskClient) -> None:
    project = a_project(
        secret_env_vars={"OLD": "1", "KEPT": "2", "SET": "3"}, secrets_in_checks=["KEPT", "OLD"], env_vars={"P": "1"}
    )
    path = f"/api/projects/{project.id}"

    changed = maintainer.patch(path, json={"secretEnvVarChanges": {"OLD": None, "SET": "4", "NEW": "5"}})

    shown = changed.json["project"]
    assert (shown["secretEnvVars"], shown["secretsInChecks"]) == (["KEPT", "NEW", "SET"], ["KEPT"])
    assert secrets_of(get(Project, project.id)) == {"KEPT": "2", "NEW": "5", "SET": "4"}
    told = json.loads(events("project:status_changed")[-1].data)["data"]
    assert told["changed"] == ["secretEnvVars", "secretsInChecks"]
    assert "secretEnvVarChanges" not in shown

    gone = maintainer.patch(path, json={"secretEnvVarChanges": {"KEPT": None, "NEW": None, "SET": None}})
    assert gone.json["project"]["secretEnvVars"] == []
    assert get(Project, project.id).secret_env_sealed is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"secretEnvVarChanges": {"OTHER": None}}, "secretEnvVarChanges.OTHER"),
        ({"secretEnvVarChanges": {"P": "1"}}, "secretEnvVarChanges.P"),
        ({"secretEnvVarChanges": {"KEY": None}, "secretEnvVars": {"KEY": "2"}}, "secretEnvVarChanges"),
        ({"secretEnvVarChanges": {"KEY": None}, "secretsInChecks": ["KEY"]}, "secretsInChecks"),
    ],
)
def test_a_wrong_change_of_secret_variables_changes_none(
    plain_maintainer: FlaskClient, body: dict[str, Any], field: str
) -> None:
    project = a_project(secret_env_vars={"KEY": "1"}, env_vars={"P": "1"})

    reply = plain_maintainer.patch(f"/api/projects/{project.id}", json=body)

    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)
    assert secrets_of(get(Project, project.id)) == {"KEY": "1"}
