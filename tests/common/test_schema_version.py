"""The versions of the schema: a database that a newer version has upgraded is one line, and nothing is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.databases import create_schema, sqlite_url
from tests.servers import ROOT, MariaDB

NEWER = "9999"


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def newer_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of this file's own: nothing resets a version."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("newer") / "newer.db")
    else:
        server: MariaDB = request.getfixturevalue("mariadb")
        url = server.new_database()
    create_schema(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = :new"), {"new": NEWER})
    engine.dispose()
    return url


def test_a_newer_schema_is_one_line(newer_url: str, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "AIWORKER_DATA_DIR": str(tmp_path / "data"),
        "AIWORKER_DATABASE_URL": newer_url,
    }

    ended = subprocess.run(
        [sys.executable, "-m", "web.cli", "db", "upgrade"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert f"has the schema of a newer version ({NEWER})" in ended.stderr
    assert _version(newer_url) == NEWER


def _version(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        version = connection.execute(text("select version_num from alembic_version")).scalar_one()
    engine.dispose()
    return str(version)
