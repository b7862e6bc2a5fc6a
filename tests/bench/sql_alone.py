"""The limit of a request that reads the database: its statements, sent by the driver alone, on one connection."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.engine.interfaces import DBAPIConnection

from common.database import dispose_engines
from common.settings import settings
from common.states import Role
from tests import builders
from tests.bench.machine import SERVER_CORES, pinned
from tests.bench.served import Platform
from tests.sent_statements import noting
from web.app import create_app

Statements = list[tuple[str, object]]


def statements_of(stores: Platform, path: str) -> Statements:
    """What a request sends to the database when it is sent for the second time, with `{}` in its path changed."""
    found: Statements = []
    stores.settings()
    settings.cache_clear()
    try:
        client = builders.client_of(create_app(), builders.a_user("reading", Role.ADMIN))
        # The first one may read what a process keeps.
        assert client.get(path.format(1)).status_code == 200
        with noting(lambda sql, parameters, _many: found.append((sql, parameters))):
            assert client.get(path.format(2)).status_code == 200
    finally:
        dispose_engines()
    assert found, f"{path} sends nothing to the database"
    return found


def rates(stores: Platform, statements: Statements, seconds: float, times: int) -> list[float]:
    """How often a second all of them can be sent and their rows fetched, in each round, on the server's cores."""
    with pinned(SERVER_CORES), _connection(stores) as connection:
        return [_rate(connection, statements, seconds) for _ in range(times)]


@contextlib.contextmanager
def _connection(stores: Platform) -> Iterator[DBAPIConnection]:
    engine = create_engine(stores.environ["AIWORKER_DATABASE_URL"])
    connection = engine.raw_connection()
    try:
        yield connection
    finally:
        connection.close()
        engine.dispose()


def _rate(connection: DBAPIConnection, statements: Statements, seconds: float) -> float:
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for sql, parameters in statements:
            cursor = connection.cursor()
            cursor.execute(sql, parameters)
            cursor.fetchall()
            cursor.close()
        connection.rollback()
        count += 1
    return count / (time.perf_counter() - began)
