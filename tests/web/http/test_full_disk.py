"""A full disk refuses writes with a reason and ends nobody; below a reserve no new work begins."""

from __future__ import annotations

import sqlite3

import pytest
from flask import Flask
from sqlalchemy import event

from common.database import engines
from common.settings import settings
from common.values.states import Role
from tests import builders
from tests.web.conftest import AppOn


def test_a_full_disk_refuses_writes_with_its_reason_until_there_is_room(
    app_on: AppOn, sqlite_database_url: str
) -> None:
    """The file may have no page more than it has: SQLite says then what it says of a disk."""
    client = builders.client_of(app_on(sqlite_database_url), builders.a_user("max", Role.MAINTAINER))
    pages = 1

    @event.listens_for(engines.engine(), "checkout")
    def _bound(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    replies = [client.post("/api/projects", json={"name": f"Project {number}"}) for number in range(40)]
    refused = replies[-1]
    assert (refused.status_code, refused.json["details"]["field"]) == (503, "disk")
    assert client.get("/api/projects").json["total"] == sum(reply.status_code == 201 for reply in replies)

    pages = 2**30
    assert client.post("/api/projects", json={"name": "Another"}).status_code == 201


def test_health_says_that_no_new_work_begins(
    app_on: AppOn, sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: Flask = app_on(sqlite_database_url)
    monkeypatch.setenv("AIWORKER_DISK_RESERVE_BYTES", str(2**50))
    monkeypatch.setattr("web.health.ANSWER_SECONDS", 60.0)
    settings.cache_clear()

    reply = app.test_client().get("/api/health")

    assert (reply.status_code, reply.json["status"], reply.json["disk"]) == (200, "degraded", "low")
    assert app.test_client().get("/api/health/ready").status_code == 200


def test_a_database_that_can_only_be_read_refuses_writes_for_now(app_on: AppOn, sqlite_database_url: str) -> None:
    """As where Linux no longer writes to a disk that has failed, or the file is another user's."""
    app_on(sqlite_database_url)
    token = builders.a_token(builders.a_user("max", Role.MAINTAINER))
    path = sqlite_database_url.removeprefix("sqlite:///")

    client = builders.client_with(app_on(f"sqlite:///file:{path}?mode=ro&uri=true"), token)

    refused = client.post("/api/projects", json={"name": "Demo"})
    assert (refused.status_code, refused.headers.get("Retry-After")) == (503, "2")
    assert client.get("/api/projects").status_code == 200
