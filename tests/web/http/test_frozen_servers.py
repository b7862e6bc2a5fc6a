"""A database or a Redis that hangs: it costs a request some seconds, never a minute, and not every request."""

from __future__ import annotations

import threading

import pytest

from common.values.states import Role
from tests import builders
from tests.database_proxy import DatabaseProxy
from tests.long_timeouts import use_product_timeouts
from tests.web.conftest import AppOn
from tests.web.factories import a_project, a_task

PROMISED_SECONDS = 5
SPARE_SECONDS = 5
"""For a machine that is busy: a wait of the former length is still ten times as long."""


@pytest.fixture(autouse=True)
def _real_waits(app_on: AppOn, monkeypatch: pytest.MonkeyPatch) -> None:
    use_product_timeouts(monkeypatch)


def test_a_frozen_database_is_a_503_within_seconds(app_on: AppOn, mariadb_database_url: str) -> None:
    with DatabaseProxy(mariadb_database_url) as proxy:
        app = app_on(proxy.url)
        client = builders.client_of(app, builders.a_user("max", Role.MAINTAINER))
        assert client.get("/api/projects").status_code == 200
        repeated = f"/api/tasks?projectId={a_task(a_project()).project_id}"
        assert client.get(repeated).status_code == 200
        answers: list[tuple[int, bool]] = []

        def ask(method: str, path: str) -> None:
            reply = client.open(path, method=method, json={"name": "Shop"} if method == "POST" else None)
            answers.append((reply.status_code, "Retry-After" in reply.headers))

        proxy.freeze()
        asked = (("GET", "/api/projects"), ("POST", "/api/projects"), ("GET", "/api/tasks"), ("GET", repeated))
        threads = [threading.Thread(target=ask, args=one, daemon=True) for one in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PROMISED_SECONDS + SPARE_SECONDS)

        assert answers == [(503, True)] * 4
        proxy.thaw()
        assert client.get("/api/projects").get_json()["total"] == 1
