"""All rows of the database in a form that fits SQLite and MariaDB: read at one moment, and put into an empty database.

The columns travel with the rows, so rows of an older schema can be put into a database of that schema, which is
upgraded afterwards. Sealed values stay sealed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, Table, TableClause, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from common.database import engines, mariadb_connection
from common.database.engines import UtcDateTime
from common.errors import Misconfigured
from common.models.base import Base
from common.models.journal import Job
from common.models.task import is_word_index
from common.transaction import Transaction, transactional

Value = str | int | float | bool | None
"""A value as it travels: a time as ISO 8601 in UTC, bytes as Base64, a stored JSON value as its text."""

PART_BYTES = 4 * 2**20
"""About how large a part of a table is. One row may be larger."""
_FETCH_ROWS, _FETCH_LARGE_ROWS = 20, 1
"""In memory at once; the second of tables with bytes, of which a row may have some MiB."""
_ROWS_AT_ONCE = 100
_BYTES_AT_ONCE = 2**20
"""Of one value in a statement, which writes bytes as twice as many digits."""
_VERSION = "alembic_version"

_KINDS: dict[
    str,
    TypeEngine[str] | TypeEngine[int] | TypeEngine[float] | TypeEngine[bool] | TypeEngine[datetime] | TypeEngine[bytes],
] = {
    "text": sa.Text(),
    "json": sa.Text(),
    "whole": sa.Integer(),
    "number": sa.Float(),
    "flag": sa.Boolean(),
    "time": UtcDateTime(),
    "bytes": sa.LargeBinary(),
}


@dataclass(frozen=True)
class TablePart:
    """Some rows of a table. columns: name and kind of each, a kind being a key of _KINDS."""

    table: str
    columns: tuple[tuple[str, str], ...]
    rows: list[list[Value]]


def table_names() -> list[str]:
    """Every table of this version, each after those that it refers to."""
    return [table.name for table in _metadata().sorted_tables]


@contextmanager
def reading_at_one_moment(while_held: Callable[[], None]) -> Iterator[Callable[[str], Iterator[TablePart]]]:
    """Yield a function that reads a table by its name. All tables are read as they were at one moment.

    while_held: is called at that moment, when nobody can record what a job has done. What it reads of the world
    belongs to the rows like after a crash at that moment: a job may have acted without a record, never the other way
    round. It must be quick, since writers wait for it, and may be called again after a deadlock. Raises Busy.
    """
    with engines.engine(reads=True).connect() as plain:
        connection = plain if engines.is_sqlite() else plain.execution_options(isolation_level="REPEATABLE READ")
        _let_pause(connection)
        try:
            _hold(connection, while_held)
            yield lambda name: _parts(connection, _metadata().tables[name])
        except DBAPIError as error:
            engines.raise_busy(error)
            raise
        finally:
            connection.rollback()


@transactional
def _hold(tx: Transaction, connection: Connection, while_held: Callable[[], None]) -> None:
    """Start reading in the connection while this transaction keeps others from recording, and call while_held."""
    connection.rollback()
    if engines.is_sqlite():
        # This transaction has the one lock for writing. The reader sees what is committed at its first statement.
        connection.exec_driver_sql("BEGIN")
        connection.execute(sa.text("SELECT count(*) FROM alembic_version"))
    else:
        # What a job has done is recorded by whoever holds the job's row.
        query = select(Job.id).where(Job.live_key.is_not(None)).order_by(Job.id).with_for_update()
        tx.session.execute(query).all()
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    while_held()


def _parts(connection: Connection, table: Table) -> Iterator[TablePart]:
    columns = tuple((column.name, _kind(column.type)) for column in table.columns)
    query = select(*[sa.type_coerce(table.c[name], _KINDS[kind]) for name, kind in columns])
    rows: list[list[Value]] = []
    size = 0
    at_once = _FETCH_LARGE_ROWS if "bytes" in dict(columns).values() else _FETCH_ROWS
    with connection.execution_options(yield_per=at_once).execute(query) as result:
        for found in result:
            row = [_packed(value) for value in found]
            rows.append(row)
            size += sum(len(value) if isinstance(value, str) else 8 for value in row)
            if size >= PART_BYTES:
                yield TablePart(table.name, columns, rows)
                rows, size = [], 0
    yield TablePart(table.name, columns, rows)


def _kind(kind: object) -> str:
    """The kind of a column by its type."""
    if isinstance(kind, UtcDateTime):
        return "time"
    for sort, name in ((sa.JSON, "json"), (sa.Boolean, "flag"), (sa.Integer, "whole"), (sa.Float, "number"),
                       (sa.LargeBinary, "bytes")):  # fmt: skip
        if isinstance(getattr(kind, "impl_instance", kind), sort):
            return name
    return "text"


def _packed(value: object) -> Value:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    assert value is None or isinstance(value, (str, int, float))
    return value


def _unpacked(kind: str, value: Value) -> object:
    if kind == "time" and isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC)
    if kind == "bytes" and isinstance(value, str):
        return base64.b64decode(value)
    return value


def has_tables() -> bool:
    """Whether there is anything in the database. Misconfigured if it can't be reached."""
    try:
        with engines.engine(reads=True).connect() as connection:
            return bool(inspect(connection).get_table_names())
    except DBAPIError as error:
        raise Misconfigured(f"the database can't be used: {error.orig}; check AIWORKER_DATABASE_URL") from error


def drop_tables() -> None:
    """Remove the platform's tables with all rows. Safe to repeat.

    Misconfigured, having removed nothing, if there are tables of something else.
    """
    with engines.engine().connect() as connection, _unchecked(connection):
        found = set(inspect(connection).get_table_names())
        if "task_words" in found:
            # Takes the tables with it in which SQLite keeps it.
            connection.exec_driver_sql("DROP TABLE task_words")
            found = set(inspect(connection).get_table_names())
        foreign = sorted(name for name in found - {*table_names(), _VERSION} if not is_word_index(name))
        if foreign:
            raise Misconfigured(
                f"the database has tables of something else, such as {foreign[0]}; name another database"
            )
        for name in sorted(found):
            connection.exec_driver_sql(f"DROP TABLE {connection.dialect.identifier_preparer.quote(name)}")
        connection.commit()


def put_rows(parts: Iterable[TablePart]) -> int:
    """Put the rows into a database with their schema and no rows but those of the migrations, which are replaced.

    Returns how many there were. All or nothing: after an error there are no rows. Misconfigured if a row refers to
    one that is missing, or does not fit.
    """
    count = 0
    with engines.engine().connect() as connection, _unchecked(connection):
        _let_pause(connection)
        try:
            for name in _tables_but_version(connection):
                connection.execute(sa.table(name).delete())
            for part in parts:
                _insert(connection, part)
                count += len(part.rows)
            _require_whole(connection)
            connection.commit()
        except DBAPIError as error:
            raise Misconfigured(f"the rows don't fit into the database: {error.orig}") from error
    return count


def _insert(connection: Connection, part: TablePart) -> None:
    into = sa.table(part.table, *[sa.column(name, _KINDS[kind]) for name, kind in part.columns])
    rows = [
        {name: _unpacked(kind, value) for (name, kind), value in zip(part.columns, row, strict=True)}
        for row in part.rows
    ]
    if "bytes" in dict(part.columns).values():
        key = inspect(connection).get_pk_constraint(part.table)["constrained_columns"]
        for row in rows:
            _insert_large(connection, into, key, row)
        return
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(into.insert(), rows[start : start + _ROWS_AT_ONCE])


def _insert_large(connection: Connection, into: TableClause, key: Sequence[str], row: Mapping[str, object]) -> None:
    """Insert a row, of long bytes only the beginning at first: a server limits what it takes at once.

    key: the columns of the primary key.
    """
    long = {} if engines.is_sqlite() else {
        name: value for name, value in row.items() if isinstance(value, bytes) and len(value) > _BYTES_AT_ONCE
    }  # fmt: skip
    connection.execute(into.insert(), {**row, **{name: value[:_BYTES_AT_ONCE] for name, value in long.items()}})
    its = [into.c[name] == row[name] for name in key]
    for name, value in long.items():
        for start in range(_BYTES_AT_ONCE, len(value), _BYTES_AT_ONCE):
            more = sa.literal(value[start : start + _BYTES_AT_ONCE], sa.LargeBinary())
            longer = sa.func.concat(into.c[name], more, type_=sa.LargeBinary())
            connection.execute(into.update().where(*its).values({name: longer}))


def _tables_but_version(connection: Connection) -> list[str]:
    """Those that rows are put into; the database fills its index of words itself."""
    return [name for name in inspect(connection).get_table_names() if name != _VERSION and not is_word_index(name)]


def _require_whole(connection: Connection) -> None:
    """Raise Misconfigured if a foreign key refers to no row: it was not checked while the rows were put in."""
    inspector = inspect(connection)
    for name in _tables_but_version(connection):
        for key in inspector.get_foreign_keys(name):
            pairs = list(zip(key["constrained_columns"], key["referred_columns"], strict=True))
            quote = connection.dialect.identifier_preparer.quote
            join = " AND ".join(f"a.{quote(here)} = b.{quote(there)}" for here, there in pairs)
            broken = connection.exec_driver_sql(
                f"SELECT count(*) FROM {quote(name)} a LEFT JOIN {quote(key['referred_table'])} b ON {join} "  # noqa: S608
                f"WHERE a.{quote(pairs[0][0])} IS NOT NULL AND b.{quote(pairs[0][1])} IS NULL"
            ).scalar_one()
            if broken:
                raise Misconfigured(
                    f"{broken} rows of {name} refer to rows of {key['referred_table']} that are missing"
                )


def _let_pause(connection: Connection) -> None:
    """Let the server wait for the one who reads its rows or sends more: an archive may come or go over a slow link."""
    if not engines.is_sqlite():
        # Not returned to the pool, as it keeps these settings.
        connection.detach()
        connection.exec_driver_sql(mariadb_connection.allow_long_pauses())


@contextmanager
def _unchecked(connection: Connection) -> Iterator[None]:
    """Do not check foreign keys of this connection inside. Rolls back what is not committed."""
    on, off = ("PRAGMA foreign_keys=ON", "PRAGMA foreign_keys=OFF") if engines.is_sqlite() else (
        "SET foreign_key_checks=1", "SET foreign_key_checks=0")  # fmt: skip
    # Not by SQLAlchemy, which would begin a transaction: SQLite ignores it inside of one.
    connection.connection.cursor().execute(off)
    try:
        yield
    finally:
        # A server may have closed the connection with what it refused, which is then told.
        with suppress(DBAPIError, connection.dialect.loaded_dbapi.Error):
            connection.rollback()
            connection.connection.cursor().execute(on)


def _metadata() -> MetaData:
    return Base.metadata
