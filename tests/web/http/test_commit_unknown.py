"""What a caller is told when nobody can say whether the change was made, and how to ask again without doubling it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.values.states import Role
from tests import builders
from tests.database_proxy import DatabaseProxy
from tests.web.conftest import AppOn
from tests.web.factories import a_project


@pytest.fixture
def proxy(mariadb_database_url: str) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(mariadb_database_url) as made:
        yield made


@pytest.fixture
def lossy(app_on: AppOn, proxy: DatabaseProxy) -> Flask:
    return app_on(proxy.url)


@pytest.fixture
def maintainer(lossy: Flask) -> FlaskClient:
    """Somebody who has been here before: connections are open, the use of the token is noted."""
    client = builders.client_of(lossy, builders.a_user("max", Role.MAINTAINER))
    assert client.get("/api/projects").status_code == 200
    return client


def check_is_unknown(reply: Any) -> None:
    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.json["details"]["field"] == "commit"
    assert "may have been made" in reply.json["details"]["message"]


@pytest.mark.parametrize("lost", ["answer", "request"])
def test_with_its_key_the_request_is_sent_again_to_one_effect(
    maintainer: FlaskClient, proxy: DatabaseProxy, lost: str
) -> None:
    project = a_project()
    body, keys = {"projectId": project.id, "title": "Once"}, {"Idempotency-Key": "k1"}
    proxy.lose(lost)

    check_is_unknown(maintainer.post("/api/tasks", json=body, headers=keys))
    again = maintainer.post("/api/tasks", json=body, headers=keys)

    assert again.status_code == 201
    assert ("Idempotency-Replayed" in again.headers) == (lost == "answer")
    assert maintainer.get(f"/api/tasks?projectId={project.id}").json["total"] == 1
