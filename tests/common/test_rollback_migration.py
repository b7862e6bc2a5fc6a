"""The migration that learns what earlier rollbacks took back, from a database of the version before it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from common import database
from common.services.health.schema import _alone, _config
from tests.databases import sqlite_url

BEFORE, REVISION = "0002", "0008"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path, use_database: Callable[[str], None]) -> None:
    is_sqlite = request.param == "sqlite"
    use_database(sqlite_url(tmp_path / "old.db") if is_sqlite else request.getfixturevalue("mariadb").new_database())


def _alembic(verb: str, revision: str) -> None:
    with _alone() as connection:
        config = _config()
        config.attributes["connection"] = connection
        getattr(importlib.import_module("alembic.command"), verb)(config, revision)


def _fill(table: sa.Table, **values: Any) -> dict[str, Any]:
    """A row: what has to be there and is not said is empty."""
    row = dict(values)
    for column in table.columns:
        if column.name not in row and not column.nullable:
            kind = column.type
            is_text = isinstance(kind, sa.String | sa.JSON)
            row[column.name] = "{}" if is_text else START.replace(tzinfo=None) if isinstance(kind, sa.DateTime) else 0
    return row


def _insert(connection: sa.Connection, name: str, *rows: dict[str, Any]) -> None:
    table = sa.Table(name, sa.MetaData(), autoload_with=connection)
    for row in rows:
        connection.execute(table.insert().values(_fill(table, **row)))


def _deployments() -> list[dict[str, Any]]:
    """Of one project's production: a, b, c; back to a; d and e; back to d. Another project was never rolled back."""
    history = (
        ("a", None, None), ("b", None, "b"), ("c", None, "c"), ("a", "c", None), ("d", None, "d"), ("e", None, "e"),
        ("d", "e", "d"),
    )  # fmt: skip
    rows = [
        {
            "id": f"{number}-{commit}", "project_id": "p", "environment": "production", "app_name": "production",
            "commit_sha": commit, "rollback_of": rollback_of, "task_group_id": group, "was_healthy": True,
            "live_key": "p:production" if number == len(history) - 1 else None, "active_key": None,
            "created_at": (START + timedelta(hours=number)).replace(tzinfo=None), "spec_sealed": "", "branch": "main",
        }
        for number, (commit, rollback_of, group) in enumerate(history)
    ]  # fmt: skip
    return [*rows, {**rows[0], "id": "other", "project_id": "q", "live_key": "q:production"}]


def _column(connection: sa.Connection, table: str, name: str) -> dict[str, Any]:
    read = sa.table(table, sa.column("id"), sa.column(name, database.UtcDateTime()))
    return {row[0]: row[1] for row in connection.execute(sa.select(read.c["id", name]))}


def test_what_was_taken_back_so_far_is_marked_and_nothing_is_lost(empty_database: None) -> None:
    _alembic("upgrade", BEFORE)
    with database.engine().begin() as connection:
        _insert(connection, "projects", *({"id": one, "name": one, "slug": one, "namespace": one} for one in "pq"))
        _insert(connection, "tasks", *({"id": one, "project_id": "p"} for one in "bcde"))
        groups = [{"id": one, "project_id": "p", "branch": one, "accept_rolled_back": one == "d"} for one in "bcde"]
        _insert(connection, "task_groups", *groups)
        _insert(connection, "group_members", *({"group_id": one, "task_id": one} for one in "bcd"))
        _insert(connection, "group_members", {"group_id": "e", "task_id": "e", "removed_reason": None})
        _insert(connection, "group_members", {"group_id": "e", "task_id": "d", "removed_reason": "conflict"})
        _insert(connection, "deployments", *_deployments())

    _alembic("upgrade", REVISION)

    with database.engine().begin() as connection:
        taken = {id_: at for id_, at in _column(connection, "deployments", "taken_back_at").items() if at is not None}
        assert taken == {
            "1-b": START + timedelta(hours=3),
            "2-c": START + timedelta(hours=3),
            "5-e": START + timedelta(hours=6),
        }
        for table in ("tasks", "task_groups"):
            marks = _column(connection, table, "rolled_back_at")
            assert marks == {"b": None, "c": None, "d": None, "e": START + timedelta(hours=6)}
        accepted = _column(connection, "task_groups", "accepted_rolled_back_at")
        assert {id_ for id_, at in accepted.items() if at is not None} == {"d"}
        assert connection.execute(sa.text("select count(*) from group_members")).scalar_one() == 5

    _alembic("downgrade", f"{REVISION}-1")
    with database.engine().begin() as connection:
        kept = connection.execute(sa.text("select id, accept_rolled_back from task_groups order by id")).all()
        assert [(row[0], bool(row[1])) for row in kept] == [("b", False), ("c", False), ("d", True), ("e", False)]
        assert connection.execute(sa.text("select count(*) from group_members")).scalar_one() == 5


def test_live_versions_that_failed_together_get_a_code(empty_database: None) -> None:
    _alembic("upgrade", "0011")
    sentence = "not rolled back, as versions of many projects failed together: it exited with 1"
    told = {
        "together": ("p:production", sentence),
        "alone": ("p:staging", "it exited with 1"),
        "over": (None, sentence),
    }
    with database.engine().begin() as connection:
        _insert(connection, "projects", {"id": "p", "name": "p", "slug": "p", "namespace": "p"})
        rows = [
            {"id": name, "project_id": "p", "live_key": live_key, "error": error}
            for name, (live_key, error) in told.items()
        ]
        _insert(connection, "deployments", *rows)

    _alembic("upgrade", "0012")

    with database.engine().begin() as connection:
        found = {row.id: row.error_code for row in connection.execute(sa.text("SELECT * FROM deployments"))}
    assert found == {"together": "machine", "alone": None, "over": None}


def test_versions_so_far_get_their_numbers_and_a_rollback_that_of_its_version(empty_database: None) -> None:
    _alembic("upgrade", "0015")
    with database.engine().begin() as connection:
        _insert(connection, "projects", *({"id": one, "name": one, "slug": one, "namespace": one} for one in "pq"))
        preview, failed = _deployments()[0], _deployments()[1]
        preview.update(id="preview", environment="preview", app_name="task-1", live_key=None)
        failed.update(id="failed", was_healthy=False, created_at=START.replace(tzinfo=None))
        _insert(connection, "deployments", *_deployments(), preview, failed)

    _alembic("upgrade", "0017")

    with database.engine().begin() as connection:
        numbers = {row.id: row.version for row in connection.execute(sa.text("SELECT id, version FROM deployments"))}
    assert numbers == {
        "0-a": 1, "1-b": 2, "2-c": 3, "3-a": 1, "4-d": 4, "5-e": 5, "6-d": 4, "other": 1, "preview": None,
        "failed": None,
    }  # fmt: skip
    _alembic("downgrade", "0015")
