"""What a web server loads before it answers: nothing that only talking to others needs."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.servers import ROOT
from web.http.slow_heads import packages_read_once

LATE = {"alembic", "celery", "kubernetes", "pathspec", "pymysql", "redis", "requests", "urllib3"}
PROGRAM = """
import sys
from web.app import create_app
with create_app().test_client() as client:
    print(client.get("/api/health/live").status_code)
print(*sys.modules)
"""


@pytest.mark.slow
def test_a_web_server_answers_before_it_loads_what_talks_to_others(tmp_path: Path) -> None:
    environ = {**os.environ, "AIWORKER_DATA_DIR": str(tmp_path), "AIWORKER_DATABASE_URL": "", "DATABASE_URL": ""}
    program = [sys.executable, "-c", PROGRAM]
    said = subprocess.run(program, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout

    status, loaded = said.splitlines()[-2:]
    assert status == "200"
    assert set(loaded.split()) & LATE == set()


def test_gevent_finds_the_same_plugins_and_later_callers_read_packages_anew() -> None:
    read = metadata.entry_points
    groups = read().groups
    assert "gevent.plugins.monkey.will_patch_all" in groups
    before = {group: set(read(group=group)) for group in groups}

    with packages_read_once():
        inside = {group: set(metadata.entry_points(group=group)) for group in groups}

    assert inside == before
    assert metadata.entry_points is read
