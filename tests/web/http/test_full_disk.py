"""A full disk refuses writes with a reason and ends nobody; below a reserve no new work begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from common.machine import disk
from common.settings import from_env, settings
from common.states import Role
from tests import builders
from tests.web.conftest import AppOn

ALONE = (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"])
"""How a process gets mounts of its own: as root, or as an ordinary user where that is allowed."""


def test_by_default_a_gibibyte_and_a_fiftieth_stay_free(tmp_path: Path) -> None:
    store = from_env({"AIWORKER_DATA_DIR": str(tmp_path)}).store

    found = disk.look(tmp_path, store.disk_reserve_bytes)

    assert store.disk_reserve_bytes is None
    assert found.reserve_bytes >= 2**30


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
