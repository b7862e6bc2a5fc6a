"""Engines, column types, and the differences between SQLite and MariaDB.

Each process has two engines, made after a fork: one for transactions, one for reads (AUTOCOMMIT). When a transaction
begins and ends is decided in common/transaction.py.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    DateTime,
    Engine,
    Executable,
    SQLColumnExpression,
    String,
    bindparam,
    create_engine,
    event,
    func,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.types import JSON, TypeDecorator

from common.database import sqlite_connection
from common.errors import Busy, CommitUnknown, DatabaseAway, DiskFull
from common.machine.lazy_modules import lazy_module
from common.settings import settings
from common.values.json_codec import Json, encode

if TYPE_CHECKING:
    from common.database import mariadb_connection
    from common.database.mariadb_connection import PatientConnection
else:
    mariadb_connection = lazy_module("common.database.mariadb_connection")

WRITE_WAIT_SECONDS = 5.0
"""How long a writer waits for SQLite's lock before the caller gets a 503."""
ROW_WAIT_SECONDS = 3
"""How long a writer waits for InnoDB's row locks: less than the total that a request may wait."""
POOL_SECONDS = 3
UNCHECKED_SECONDS = 1.0
"""A connection that was returned to the pool this long ago is pinged before it is used again."""

# 1020 record changed, 1205 lock wait, 1213 deadlock, 2006/2013 connection gone, 4031 idle disconnect,
# 1290/1836 read-only (a failover): the whole transaction may be run again.
_RETRIED_CODES = frozenset({1020, 1205, 1213, 1290, 1836, 2006, 2013, 4031})
# 1062 duplicate key, 1452 no row with the key that is referred to.
_OVERTAKEN_CODES = frozenset({1062, 1452})
# Raised by COMMIT, these mean that its answer was lost: 1053 shutdown, 1317 interrupted, 1927 killed, 2006/2013 gone.
_LOST_CODES = frozenset({1053, 1317, 1927, 2006, 2013})
# 1021 disk full, 1114 table full, 1026 error writing a file, 3 error writing (a file of the server).
_FULL_CODES = frozenset({3, 1021, 1026, 1114})
# 1040/1203/1226 no free connection, 1047 a Galera node that is not ready, 1129 host blocked, 1135 no thread.
_UNREACHABLE_CODES = {1040, 1044, 1045, 1047, 1049, 1053, 1129, 1135, 1158, 1159, 1203, 1226, 2002, 2003, 2005, 3032}
# 1041 out of memory, 1206 no room for locks, 1637 too many transactions, 1969/3024 a statement's time limit.
_BUSY_CODES = frozenset({1041, 1206, 1637, 1969, 3024})

sqlite_write_lock = threading.RLock()
"""Allows one writer per process: two greenlets in BEGIN IMMEDIATE would deadlock a process under gevent. It knows who
has it, so that a thread that is interrupted knows whether it does.
"""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time with microseconds, stored without its zone."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone can't be stored")
        return (value if value.tzinfo is UTC else value.astimezone(UTC)).replace(tzinfo=None)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], object] | None:
        """One for all columns that remembers the last few values: a transaction writes one time into many of them."""
        if dialect not in _to_stored:
            convert = super().bind_processor(dialect)
            _to_stored[dialect] = None if convert is None else functools.lru_cache(maxsize=16)(convert)
        return _to_stored[dialect]

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


_to_stored: WeakKeyDictionary[Dialect, Callable[[datetime | None], object] | None] = WeakKeyDictionary()
"""By dialect: what makes a time as the driver stores it."""


class JsonText(TypeDecorator[Any]):
    """A JSON value. Changes in place are not noticed: assign a new value."""

    impl = JSON
    cache_ok = True


class StoredValue(TypeDecorator[Any]):
    """A frozen dataclass of common.values, stored as JSON. read: makes it from the stored JSON, of any version."""

    impl = JSON
    cache_ok = True

    def __init__(self, read: Callable[[Mapping[str, object]], object]) -> None:
        super().__init__()
        self.read = read

    def process_bind_param(self, value: object, dialect: Dialect) -> Json:
        return encode(value)

    def process_result_value(self, value: Mapping[str, object] | None, dialect: Dialect) -> object:
        return None if value is None else self.read(value)


_engines: dict[tuple[int, str, bool], Engine] = {}
_engines_lock = threading.Lock()
_idle_reads: dict[Engine, list[tuple[float, PoolProxiedConnection]]] = {}
"""With the time at which each was given back."""
_MOST_IDLE_READS = 8


def engine(*, reads: bool = False) -> Engine:
    """This process's engine for the configured database. Safe from several threads."""
    url = settings().store.database_url
    key = (os.getpid(), url, reads)
    if key not in _engines:
        with _engines_lock:
            if key not in _engines:
                _engines[key] = _make(url, reads=reads)
    return _engines[key]


def take_read_connection(of: Engine) -> PoolProxiedConnection:
    """A connection of the engine for reads, for one statement. Raises the errors of the driver and of the pool."""
    idle = _idle_reads.get(of)
    # Not tested for emptiness first: another thread may take the last one in between.
    with contextlib.suppress(IndexError):
        if idle is not None:
            given_back_at, borrowed = idle.pop()
            try:
                if of.dialect.name != "sqlite":
                    _check_alive(cast("PatientConnection", borrowed.dbapi_connection), given_back_at)
            except of.dialect.loaded_dbapi.Error as error:
                borrowed.invalidate(error)
            else:
                return borrowed
    return of.pool.connect()


def give_back_read_connection(of: Engine, borrowed: PoolProxiedConnection) -> None:
    """Give it back after a statement that went well, with its cursor closed.

    Some are kept beside the pool, whose part in a read costs as much as SQLite's. It has nothing to do: under
    AUTOCOMMIT a closed cursor leaves nothing to roll back, and whether a server is still there is checked here, too.
    """
    idle = _idle_reads.setdefault(of, [])
    if len(idle) >= _MOST_IDLE_READS:
        borrowed.close()
    else:
        idle.append((time.monotonic(), borrowed))


def _check_alive(connection: PatientConnection, given_back_at: float) -> None:
    """Raise the driver's error if it is closed. A round trip: left out while it was in use a moment ago."""
    if not connection.open or time.monotonic() - given_back_at >= UNCHECKED_SECONDS:
        connection.ping(reconnect=False)


def dispose_engines() -> None:
    """Close this process's connections, and drop those inherited over a fork without closing them."""
    with _engines_lock:
        for idle in _idle_reads.values():
            for _at, borrowed in idle:
                borrowed.close()
        _idle_reads.clear()
        for (pid, _url, _reads), made in list(_engines.items()):
            made.dispose(close=pid == os.getpid())
        _engines.clear()


def _make(url: str, *, reads: bool) -> Engine:
    # hide_parameters: messages of failed statements reach logs and job rows, where no values may appear.
    if url.startswith("sqlite"):
        made = create_engine(
            url, pool_size=20, max_overflow=40, pool_timeout=5, hide_parameters=True, json_serializer=_json_text
        )
        sqlite_connection.prepare(made, reads=reads)
        return made
    made = create_engine(
        url,
        isolation_level="AUTOCOMMIT" if reads else "READ COMMITTED",
        # Under AUTOCOMMIT there is nothing to roll back: without this, each return to the pool is a round trip.
        pool_reset_on_return=None if reads else "rollback",
        hide_parameters=True,
        json_serializer=_json_text,
        pool_recycle=1800,
        pool_timeout=POOL_SECONDS,
        pool_size=10,
        max_overflow=20,
        connect_args={
            "connect_timeout": mariadb_connection.CONNECT_SECONDS,
            "read_timeout": mariadb_connection.READ_SECONDS,
            "write_timeout": mariadb_connection.READ_SECONDS,
            "init_command": mariadb_connection.session_settings(ROW_WAIT_SECONDS),
        },
    )

    @event.listens_for(made, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> PatientConnection:
        return mariadb_connection.PatientConnection(*arguments, **options)

    @event.listens_for(made, "checkin")
    def _returned(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["returned_at"] = time.monotonic()

    @event.listens_for(made, "checkout")
    def _ping(connection: PatientConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        try:
            _check_alive(connection, record.info.get("returned_at", -UNCHECKED_SECONDS))
        except made.dialect.loaded_dbapi.Error as error:
            # The pool discards the connection and takes another.
            raise DisconnectionError from error

    return made


_EMPTY: dict[type, str] = {list: "[]", dict: "{}"}


def _json_text(value: object) -> str:
    """As json.dumps, which takes long for the empty lists and mappings that most rows have."""
    empty = None if value else _EMPTY.get(type(value))
    return json.dumps(value) if empty is None else empty


def is_sqlite() -> bool:
    return settings().store.is_sqlite


def read_now(connection: Connection) -> datetime:
    """The database's clock, aware UTC. Leases are measured by it, never by the clock of another machine."""
    if is_sqlite():
        return sqlite_now()
    return cast("datetime", connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()).replace(tzinfo=UTC)


def sqlite_now() -> datetime:
    """SQLite is a library: its `now` is the clock of this machine, on which all of its processes run."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def clock(name: str, *, ahead_seconds: int = 0) -> ColumnElement[datetime]:
    """The database's clock inside a statement, so that it costs no round trip. On SQLite: the
    parameter `name`, which is `sqlite_now`."""
    if is_sqlite():
        return bindparam(name, type_=UtcDateTime())
    now = func.utc_timestamp(text("6"), type_=UtcDateTime())
    return func.timestampadd(text("SECOND"), ahead_seconds, now, type_=UtcDateTime()) if ahead_seconds else now


def lower(column: SQLColumnExpression[str]) -> ColumnElement[str]:
    """The column in lower case, as common.machine.text.lower_letters makes it: SQLite's own way knows ASCII alone."""
    return func.lower_letters(column, type_=String()) if is_sqlite() else func.lower(column)


def commit(connection: Connection) -> None:
    """Commit. Raises CommitUnknown if the answer to COMMIT was lost; after any other error nothing was committed."""
    transaction = connection.get_transaction()
    if transaction is None:
        raise RuntimeError("the transaction was rolled back, so there is nothing to commit")
    driver = connection.connection.dbapi_connection
    try:
        transaction.commit()
    except DBAPIError as error:
        if not is_sqlite() and not cast("PatientConnection", driver).is_commit_sent:
            raise
        is_write_unsure = isinstance(error.orig, sqlite3.OperationalError) and "disk I/O" in str(error.orig)
        if error.connection_invalidated or is_write_unsure or _code(error) in _LOST_CODES:
            raise CommitUnknown from error
        raise


def is_lock_wait(error: BaseException) -> bool:
    """Whether another process holds SQLite's lock: the same BEGIN may be tried again in a moment."""
    return (
        isinstance(error, OperationalError)
        and isinstance(error.orig, sqlite3.OperationalError)
        and ("locked" in str(error.orig) or "busy" in str(error.orig))
    )


def is_retried(error: BaseException) -> bool:
    """Whether it is a deadlock, a lost connection or a failover: the whole transaction may be run again."""
    return is_lock_wait(error) or (isinstance(error, DBAPIError) and _code(error) in _RETRIED_CODES)


def is_overtaken(error: DBAPIError) -> bool:
    """Whether a unique key is taken, or a row that a new one refers to is gone: on MariaDB and MySQL perhaps by what
    was committed since the transaction looked. Never on SQLite, where nothing is.
    """
    return _code(error) in _OVERTAKEN_CODES


def is_unreachable(error: DBAPIError) -> bool:
    """Whether the server can't be reached at all."""
    return _code(error) in _UNREACHABLE_CODES


def raise_busy(error: DBAPIError) -> None:
    """Raise Busy with the reason if the server or the disk caused the error. Return if it is a bug in our code."""
    busy = _as_busy(error)
    if busy is not None:
        raise busy from error


def _as_busy(error: DBAPIError) -> Busy | None:
    if isinstance(error.orig, sqlite3.OperationalError):
        message = str(error.orig)
        if "is full" in message:
            return DiskFull()
        if "unable to open" in message or "disk I/O" in message:
            return DatabaseAway("the database can't be reached")
        if "readonly" in message:
            return Busy("the database's file can't be written")
    if _code(error) in _FULL_CODES:
        return DiskFull()
    if is_unreachable(error) or _code(error) in _LOST_CODES:
        return DatabaseAway("the database can't be reached")
    return Busy("the database was busy for too long") if is_retried(error) or _code(error) in _BUSY_CODES else None


def _code(error: DBAPIError) -> int | None:
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def ping() -> None:
    """Execute one statement on the read engine. Raises the driver's errors."""
    with engine(reads=True).connect() as connection:
        connection.execute(text("SELECT 1"))


def describe_url(url: str) -> str:
    """The URL with its password hidden, for messages."""
    return make_url(url).render_as_string(hide_password=True)


def rows_changed(session: Session, statement: Executable) -> int:
    """Execute an INSERT, UPDATE or DELETE. Returns how many rows it changed."""
    return cast("CursorResult[object]", session.execute(statement)).rowcount


__all__ = [
    "JsonText",
    "UtcDateTime",
    "clock",
    "commit",
    "describe_url",
    "dispose_engines",
    "engine",
    "give_back_read_connection",
    "is_lock_wait",
    "is_overtaken",
    "is_retried",
    "is_sqlite",
    "is_unreachable",
    "ping",
    "raise_busy",
    "read_now",
    "rows_changed",
    "sqlite_now",
    "sqlite_write_lock",
    "take_read_connection",
]
