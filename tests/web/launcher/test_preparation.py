"""What the launcher has another process do in the database before anything else starts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from common.errors import Misconfigured
from web.launcher.preparation import prepare


def test_the_database_is_made_ready_and_a_newer_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path))
    # Nobody answers there: what is told to other processes is lost, and nothing waits for it.
    monkeypatch.setenv("AIWORKER_REDIS_URL", "redis://127.0.0.1:9")
    for name in ("AIWORKER_DATABASE_URL", "AIWORKER_ADMIN_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []

    first = prepare(has_agents=True, say=said.append)
    assert first.admin_password
    assert first.enrolment_token

    again = prepare(has_agents=False, say=said.append)
    assert (again.admin_password, again.enrolment_token) == (None, None)

    with closing(sqlite3.connect(tmp_path / "aiworker.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Misconfigured, match="has the schema of a newer version"):
        prepare(has_agents=True, say=said.append)
    assert not any(str(first.enrolment_token) in line or str(first.admin_password) in line for line in said)
