"""Databases for tests that have the platform's schema and no rows but those that its migrations put there.

The schema is made once per test process and kind: a migration takes longer than most tests.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from common.database.mariadb_connection import PatientConnection
from tests.servers import ROOT, MariaDB

_UPGRADE = "from common.services.upkeep.schema import upgrade; upgrade()"
_VERSION_TABLE = "alembic_version"


def create_schema(url: str) -> None:
    """Bring a database to the newest schema. Safe to repeat.

    In a process of its own, so that no engine and no setting of this one is bound to that database.
    """
    with tempfile.TemporaryDirectory(prefix="aiw-schema-") as data_dir:
        environment = {**os.environ, "AIWORKER_DATABASE_URL": url, "AIWORKER_DATA_DIR": data_dir}
        done = subprocess.run(
            [sys.executable, "-c", _UPGRADE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise RuntimeError(f"the schema could not be made at {urlsplit(url).scheme}: {done.stderr[-3000:]}")


class ReusedDatabase:
    """One MariaDB database that many tests use, one after the other."""

    def __init__(self, server: MariaDB, url: str) -> None:
        self.url = url
        self._server = server
        self._name = urlsplit(url).path.removeprefix("/")
        with server.connect(self._name) as connection, connection.cursor() as cursor:
            cursor.execute("show full tables where table_type = 'BASE TABLE'")
            self._tables = [row[0] for row in cursor.fetchall() if row[0] != _VERSION_TABLE]
            self._seeds = {table: rows for table in self._tables if (rows := _rows(cursor, table))}
        used = (f"select '{table}' from (select 1 from `{table}` limit 1) one" for table in self._tables)
        self._which_are_used = " union all ".join(used)

    def reset(self) -> None:
        """Bring every table back to what it held when this was made.

        DELETE, not TRUNCATE: for few rows it is some hundred times faster; and only where there are rows, which one
        query tells of all tables. Fails after 5 s where a test left a transaction open.
        """
        with self._server.connect(self._name) as connection, connection.cursor() as cursor:
            cursor.execute("set session foreign_key_checks = 0, innodb_lock_wait_timeout = 5, lock_wait_timeout = 5")
            connection.begin()
            cursor.execute(self._which_are_used)
            for (table,) in cursor.fetchall():
                cursor.execute(f"delete from `{table}`")
            for table, rows in self._seeds.items():
                cursor.executemany(f"insert into `{table}` values ({', '.join(['%s'] * len(rows[0]))})", rows)
            connection.commit()


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _rows(cursor: Any, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(f"select * from `{table}`")
    return list(cursor.fetchall())


@contextlib.contextmanager
def hurried(engine: sa.Engine) -> Iterator[None]:
    """A connection to MariaDB that is taken meanwhile has 0.2 s for each answer, unless what takes it allows more.

    Making the connection, and making it ready, has its usual time: a busy server needs longer.
    """

    def hurry(connection: PatientConnection, *_others: object) -> None:
        connection.read_seconds = 0.2

    sa.event.listen(engine, "checkout", hurry)
    try:
        yield
    finally:
        sa.event.remove(engine, "checkout", hurry)
