"""A full disk refuses writes with a reason and ends nobody; below a reserve no new work begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.machine import disk
from common.settings import from_env, settings
from common.states import Role
from tests import builders
from tests.servers import ROOT
from tests.web.conftest import AppOn

ALONE = (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"])
"""How a process gets mounts of its own: as root, or as an ordinary user where that is allowed."""


def _mounting(directory: Path) -> list[str] | None:
    """The words before a command that may mount; None where nobody may."""
    for words in ALONE:
        tried = subprocess.run(
            [*words, "mount", "-t", "tmpfs", "tmpfs", str(directory)], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return words
    return None


@pytest.mark.slow
def test_a_full_disk_refuses_writes_and_ends_nobody(tmp_path: Path, redis_url: str) -> None:
    """Where nobody may mount, files that can't grow stand for it; SQLite can't tell then what its last write did."""
    place = tmp_path / "place"
    place.mkdir()
    words = _mounting(place)
    kind = "limit" if words is None else "tmpfs"
    command = [*(words or []), sys.executable, "-m", "tests.web.http.full_disk", str(place), redis_url, kind]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    log = tmp_path / "web.log"
    assert ended.returncode == 0, f"{ended.stderr}\n{log.read_text()[-3000:] if log.exists() else ''}"
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])

    # A store into a mapped file that the disk has no block for ends the process. SQLite writes its own beforehand.
    assert [path for path in found["mapped"] if not path.endswith("-shm")] == []
    assert {status for status, _field in found["full"]} == {503}
    assert {field for _status, field in found["full"]} <= ({"disk"} if kind == "tmpfs" else {"disk", "commit", None})
    assert (found["read"], found["metrics"]) == ([200] * 10, 200)
    assert found["health"] == ("full" if kind == "tmpfs" else "ok")
    assert (found["before"][0], found["after"][0]) == (201, 201)
    assert {"Before", "After"} <= set(found["names"])
    assert found["is_same_worker"]


@pytest.mark.slow
def test_a_start_on_a_full_disk_says_so(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words = _mounting(place)
    if words is None:
        pytest.skip("nobody may mount here")
    fill = 'mount -t tmpfs -o size=1m tmpfs "$1" && mkdir "$1/data"; cat /dev/zero > "$1/filler"'
    script = f'{fill}; exec "$2" -m web.cli db upgrade'
    environment = {"PATH": os.environ["PATH"], "AIWORKER_DATA_DIR": f"{place}/data", "AIWORKER_SECRET_KEY": "k" * 32}
    ended = subprocess.run(
        [*words, "sh", "-c", script, "sh", str(place), sys.executable],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 1
    assert f"the disk is full; make room at {place}/data" in ended.stderr
    assert "AIWORKER_DATABASE_URL" not in ended.stderr


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
