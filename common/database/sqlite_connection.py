"""How connections to SQLite are set up: who waits, what is durable, and when a transaction takes the lock."""

from __future__ import annotations

import sqlite3
import threading

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from common.machine.text import lower_letters


def prepare(made: Engine, *, reads: bool) -> None:
    """Have the connections of the engine set up. reads: they only read, so their transactions take no lock."""

    @event.listens_for(made, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        # Keep the driver from sending BEGIN itself: the begin event below does.
        connection.isolation_level = None
        connection.create_function("lower_letters", 1, lower_letters, deterministic=True)
        cursor = connection.cursor()
        # busy_timeout 0: a wait inside SQLite would block every greenlet of the process; common/transaction.py waits.
        for pragma in ("busy_timeout=0", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            _pragma(cursor, pragma)
        # Else a statement with a trigger or RETURNING, or one in a savepoint, writes the old pages into a temporary
        # file, for a new task 16 of them.
        _pragma(cursor, "temp_store=MEMORY")
        cursor.close()

    @event.listens_for(made, "begin")
    def _begin(connection: Connection) -> None:
        if not reads:
            _send(connection, "BEGIN IMMEDIATE")

    dialect = made.dialect
    # Else compiled anew for each savepoint, as each has a name of its own.
    dialect.do_savepoint = lambda connection, name: _send(connection, f"SAVEPOINT {name}")  # type: ignore[method-assign]
    dialect.do_release_savepoint = lambda connection, name: _send(connection, f"RELEASE {name}")  # type: ignore[method-assign]
    dialect.do_rollback_to_savepoint = lambda connection, name: _send(connection, f"ROLLBACK TO {name}")  # type: ignore[method-assign]


def _send(connection: Connection, statement: str) -> None:
    """Execute it on the driver's cursor: SQLAlchemy's own way to a result costs ten times such a statement."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error
    finally:
        cursor.close()


def _pragma(cursor: sqlite3.Cursor, pragma: str) -> None:
    # Turning WAL on needs an exclusive lock, which another process that starts at the same time may hold.
    for attempt in range(200):
        try:
            cursor.execute(f"PRAGMA {pragma}")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == 199:
                raise
            threading.Event().wait(0.025)
