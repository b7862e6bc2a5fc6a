"""A database or a Redis that hangs: it costs a request some seconds, never a minute, and not every request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from common import feed
from common.settings import settings
from common.states import Role
from tests import builders
from tests.database_proxy import DatabaseProxy
from tests.standstills import wait_as_in_the_product
from tests.web.conftest import AppOn
from tests.web.made import a_project, a_task

PROMISED_SECONDS = 5
SPARE_SECONDS = 5
"""For a machine that is busy: a wait of the former length is still ten times as long."""


@pytest.fixture(autouse=True)
def _real_waits(app_on: AppOn, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_as_in_the_product(monkeypatch)


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


class FrozenRedis:
    """Takes connections and what they say, and answers nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(100)
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self._listener.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self.taken):
            each.close()


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[FrozenRedis]:
    made = FrozenRedis(tmp_path / "s")
    yield made
    made.close()


def comment(client: FlaskClient) -> int:
    """A change that is counted against the limit, and rings no bell."""
    return client.post("/api/tasks/00000000-0000-7000-8000-000000000000/comments", json={"body": "x"}).status_code


@pytest.fixture
def server(tmp_path: Path, frozen: FrozenRedis) -> Path:
    """The socket that the settings name: of the frozen Redis first."""
    path = tmp_path / "server"
    path.symlink_to(frozen.path)
    return path


@pytest.fixture
def client(app_on: AppOn, sqlite_database_url: str, server: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    app = app_on(sqlite_database_url)
    made = builders.client_of(app, builders.a_user("max", Role.MAINTAINER))
    monkeypatch.setenv("AIWORKER_REDIS_URL", f"unix://{server}")
    settings.cache_clear()
    return made


def test_a_frozen_redis_is_asked_by_one_request_and_not_by_all(
    client: FlaskClient, frozen: FrozenRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "FIRST_PAUSE_SECONDS", feed.LONGEST_PAUSE_SECONDS)
    assert [comment(client) for _number in range(6)] == [404] * 6

    assert len(frozen.taken) == 1
