"""What a migration makes of the rows that are there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from common.database import engines
from common.secrets.sealing import seal, unseal
from common.services.upkeep.schema import _alone, _config, is_current, migration_lock, upgrade
from tests.databases import hurried, sqlite_url
from tests.long_waits import LONG_WAIT_SECONDS
from tests.servers import MariaDB

BEFORE = "0002"
LISTS = {
    "secret_env_names",
    "forbidden_paths",
    "labels",
    "required_capabilities",
    "options",
    "problems",
    "capabilities",
}


def _something(column: sa.Column[Any]) -> Any:
    kind = column.type.python_type
    # A text that is also JSON: MariaDB has no type of its own for that.
    return {int: 0, bool: False, datetime: datetime(2026, 1, 1), dict: {}}.get(kind, "{}")


def rows(engine: sa.Engine, table: str) -> dict[str, dict[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY id")).mappings()
        return {row["id"]: dict(row) for row in found}


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite", "mariadb"])
def test_every_row_of_the_former_version_is_kept_there_and_back(
    request: pytest.FixtureRequest, use_database: Callable[[str], None], database_kind: str, tmp_path: Path
) -> None:
    """One row of each table, each referring to the others: a table that is made anew must not take them with it."""
    is_sqlite = database_kind == "sqlite"
    use_database(sqlite_url(tmp_path / "old.db") if is_sqlite else request.getfixturevalue("mariadb").new_database())
    engine = engines.engine()
    alembic("upgrade", BEFORE)
    tables = _fill(engine)

    upgrade()
    assert {name: _count(engine, name) for name in tables} == dict.fromkeys(tables, 1)
    assert _broken_references(engine) == []
    alembic("downgrade", BEFORE)

    assert {name: _count(engine, name) for name in tables} == dict.fromkeys(tables, 1)


def _fill(engine: sa.Engine) -> list[str]:
    """Put one row into each table. Returns the tables' names."""
    tables = [name for name in sa.inspect(engine).get_table_names() if name != "alembic_version"]
    with _unchecked(engine) as connection:
        for name in tables:
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            connection.execute(table.insert().values({column.name: _referring(column) for column in table.columns}))
    return tables


def alembic(verb: str, revision: str) -> None:
    with _alone() as connection:
        config = _config()
        config.attributes["connection"] = connection
        getattr(command, verb)(config, revision)


@pytest.mark.slow
def test_an_upgrade_that_ends_after_any_statement_is_finished_by_later_ones(
    use_database: Callable[[str], None], mariadb: MariaDB, mariadb_database_url: str
) -> None:
    """On MariaDB, where each DDL statement is committed by itself: every upgrade here makes one of them, and ends."""
    use_database(mariadb_database_url)
    wanted = _schema(engines.engine())
    engines.dispose_engines()
    use_database(mariadb.new_database())
    engine = engines.engine()
    alembic("upgrade", BEFORE)
    tables = _fill(engine)
    with engine.begin() as connection:
        connection.execute(sa.text('UPDATE projects SET env_vars = \'{"A": "b"}\', keep_tests = 0'))
        connection.execute(sa.text("UPDATE task_groups SET accept_rolled_back = 1"))

    ended: set[str] = set()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def _end(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        # Once after each: some statements may be executed again.
        if statement.lstrip().startswith(("ALTER", "CREATE", "DROP")) and statement not in ended:
            ended.add(statement)
            raise _Ended

    scripts = ScriptDirectory.from_config(_config())
    while not _has_upgraded(scripts):
        pass

    assert len(ended) > 100
    assert _schema(engine) == wanted
    assert {name: _count(engine, name) for name in tables} == dict.fromkeys(tables, 1)
    project, group = rows(engine, "projects")["same"], rows(engine, "task_groups")["same"]
    assert (unseal(project["env_sealed"]), project["tests_lost"]) == ({"A": "b"}, "warn")
    assert group["accepted_rolled_back_at"] == group["created_at"]


class _Ended(Exception):
    """Ends an upgrade as if its process were killed: what was not committed is rolled back."""


def _has_upgraded(scripts: ScriptDirectory) -> bool:
    """As `upgrade`, with scripts that are read once only."""
    config = _config()
    try:
        with _alone() as connection, EnvironmentContext(
            config, scripts, fn=lambda revision, _context: scripts._upgrade_revs("head", revision)
        ):  # fmt: skip
            config.attributes["connection"] = connection
            scripts.run_env()
    except _Ended:
        return False
    return True


def _schema(engine: sa.Engine) -> dict[str, list[str]]:
    """The lines of each table's definition, in any order: interrupted upgrades may add its columns in another."""
    with engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        made = {name: connection.execute(sa.text(f"SHOW CREATE TABLE {name}")).one()[1] for name in names}
    made = {name: re.sub(r" AUTO_INCREMENT=\d+", "", text) for name, text in made.items()}
    return {name: sorted(line.rstrip(",") for line in text.splitlines()) for name, text in made.items()}


@pytest.mark.slow
def test_an_upgrade_waits_for_another_one(use_database: Callable[[str], None], mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    use_database(url)
    lock = migration_lock(sa.make_url(url).database or "")
    with (
        hurried(engines.engine()), mariadb.connect() as other, other.cursor() as cursor,
        ThreadPoolExecutor(1) as threads,
    ):  # fmt: skip
        cursor.execute("SELECT GET_LOCK(%s, 0)", (lock,))
        upgrading = threads.submit(upgrade)
        with pytest.raises(TimeoutError):
            upgrading.result(1)
        cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))
        upgrading.result(LONG_WAIT_SECONDS)

    assert is_current()


@contextlib.contextmanager
def _unchecked(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction in which rows may come before those that they refer to."""
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        connection.execute(sa.text("PRAGMA defer_foreign_keys=ON" if is_sqlite else "SET foreign_key_checks=0"))
        yield connection


def _referring(column: sa.Column[Any]) -> Any:
    """Every id is `same`; a list is empty, and a secret is sealed."""
    is_json = isinstance(column.type, sa.JSON)
    if column.primary_key and column.type.python_type is int:
        return 1
    if column.name == "id" or column.name.endswith("_id"):
        return "same"
    if column.name.endswith("_sealed"):
        return seal({"A": "b"})
    if column.type.python_type is bytes:
        return b"answer"
    if column.name in LISTS:
        return [] if is_json else "[]"
    return {} if is_json else _something(column)


def _count(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text(f"SELECT COUNT(*) FROM {table}")).scalar_one())


def _broken_references(engine: sa.Engine) -> list[Any]:
    """SQLite's; MariaDB checks each as it is written."""
    if engine.dialect.name != "sqlite":
        return []
    with engine.connect() as connection:
        return list(connection.execute(sa.text("PRAGMA foreign_key_check")))
