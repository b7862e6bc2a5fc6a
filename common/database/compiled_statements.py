"""Statements that are compiled once and run on the driver's own cursor, for what every request asks.

SQLAlchemy's way from a select() to rows costs some hundred microseconds of CPU, most of it the same at each call: it
makes the statement, its cache key and a result object. A Statement does that once for each database. It knows no ORM:
rows are tuples, converted by the types of their columns. Errors are the same DBAPIError that SQLAlchemy raises.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from sqlalchemy import BindParameter, ClauseElement, Connection, Dialect, Select, String, TypeDecorator, bindparam
from sqlalchemy import Row as ResultRow
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler

from common.database import engines

if TYPE_CHECKING:
    from common.database.mariadb_connection import PatientConnection, ResultCallback


class IsoTime(TypeDecorator[str]):
    """A time as the API writes it, such as `2026-01-31T09:00:00.000000Z`, for columns that are only shown."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: object, dialect: Dialect) -> str | None:
        """SQLite stores `2026-01-31 09:00:00.000000`; the driver of MariaDB makes a datetime without a zone."""
        if value is None:
            return None
        if isinstance(value, str):
            return f"{value[:10]}T{value[11:]}Z"
        return f"{cast('datetime', value).isoformat(timespec='microseconds')}Z"


class StoredText(TypeDecorator[str]):
    """A column as the database holds it, such as JSON that is sent as it is stored."""

    impl = String
    cache_ok = True


class SharedJson(TypeDecorator[object]):
    """A JSON value that many rows have, such as the capabilities of agents: read once, and never to be changed."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: object, dialect: Dialect) -> object:
        return None if value is None else _read_once(cast("str", value))


@functools.lru_cache(maxsize=1000)
def _read_once(text: str) -> object:
    return json.loads(text)


Row = tuple[Any, ...]
AnySelect: TypeAlias = Select[*Row]
"""A query for columns."""
AnyRow: TypeAlias = ResultRow[Any]
"""A row of one."""
AnyAttribute: TypeAlias = InstrumentedAttribute[Any]
"""A column of a model."""
Convert = Callable[[object], object]
Bound: TypeAlias = Sequence[object] | Mapping[str, object]
"""The values of a statement as its driver takes them."""


class _Inserting(Protocol):
    """A cursor of our drivers after an INSERT or UPDATE; the standard for drivers leaves this out."""

    lastrowid: int


@dataclass(frozen=True)
class _Compiled:
    """For one dialect. binds: the names in the order of the placeholders, each with how its value is converted.

    is_positional: the driver takes a tuple, not a mapping. given: values that the statement itself holds, by name.
    reads: columns that have to be converted, by their place.
    """

    text: str
    is_positional: bool
    binds: Sequence[tuple[str, Convert | None]]
    given: Mapping[str, object]
    reads: Sequence[tuple[int, Convert]]


class Statement:
    """A statement with bind parameters. Make it at module level; it is compiled at its first use.

    Has no lists of values (`in_` with a Python list): their length changes the text.
    """

    def __init__(self, make: Callable[[], ClauseElement]) -> None:
        """make: returns the statement for the database that is configured; called once for each kind of database."""
        self._make = make
        self._compiled: dict[str, _Compiled] = {}

    def read(self, **values: object) -> list[Row]:
        """The rows, outside of transactions. A connection that the server has closed is replaced once."""
        try:
            return self._read(values)
        except DBAPIError as error:
            # Only a read that answered nothing is repeated, so it can't take effect twice.
            if not error.connection_invalidated:
                raise
        return self._read(values)

    def _read(self, values: Mapping[str, object]) -> list[Row]:
        engine = engines.engine(reads=True)
        try:
            borrowed = engines.take_read_connection(engine)
        except engine.dialect.loaded_dbapi.Error as error:
            raise _as_sqlalchemy_raises(error, engine.dialect, is_lost=False) from error
        try:
            rows = self._fetched(borrowed, engine.dialect, values)
        except BaseException:
            borrowed.close()
            raise
        engines.give_back_read_connection(engine, borrowed)
        return rows

    def rows(self, connection: Connection, **values: object) -> list[Row]:
        """The rows, as part of the connection's transaction."""
        return self._fetched(connection.connection, connection.dialect, values)

    def run(self, connection: Connection, **values: object) -> tuple[int, int]:
        """Execute it as part of the connection's transaction. Returns how many rows it changed, and the last id that
        the server made or was told by LAST_INSERT_ID.
        """
        compiled = self._for(connection.dialect)
        cursor = self._send(connection.connection, connection.dialect, compiled, [_bound(compiled, values)])
        try:
            return cursor.rowcount, cast("_Inserting", cursor).lastrowid
        finally:
            cursor.close()

    def run_with_next(self, connection: Connection, then: ResultCallback, **values: object) -> None:
        """As `rows`, for who does not wait for the reply: on MariaDB and MySQL it is sent with the connection's next
        statement, before that one, so it costs no round trip.

        then: called before the next statement returns, or before the commit; None: nobody wants the reply. That may
        raise the errors of this one.
        """
        driver, dialect = connection.connection.dbapi_connection, connection.dialect
        if dialect.name != "sqlite" and self._hand_over(cast("PatientConnection", driver), dialect, then, values):
            return
        compiled = self._for(dialect)
        cursor = self._send(connection.connection, dialect, compiled, [_bound(compiled, values)])
        try:
            rows, last_id = cast("list[Row]", cursor.fetchall()), cast("_Inserting", cursor).lastrowid
        finally:
            cursor.close()
        if then is not None:
            then([_converted(row, compiled.reads) for row in rows], last_id)

    def _hand_over(
        self, driver: PatientConnection, dialect: Dialect, then: ResultCallback, values: Mapping[str, object]
    ) -> bool:  # fmt: skip
        """Returns False if it has to be sent alone."""
        compiled = self._for(dialect)
        text = driver.cursor().mogrify(compiled.text, _bound(compiled, values))
        if then is None or not compiled.reads:
            return driver.query_with_next(text, then)
        return driver.query_with_next(
            text, lambda rows, last_id: then([_converted(row, compiled.reads) for row in rows], last_id)
        )

    def run_each(self, connection: Connection, rows: Sequence[Mapping[str, object]], **same: object) -> None:
        """Execute it for each of the rows, as part of the connection's transaction: an INSERT is sent once for all.

        same: what all of them have, which is converted once.
        """
        if not rows:
            return
        compiled = self._for(connection.dialect)
        self._send(connection.connection, connection.dialect, compiled, _bound_rows(compiled, rows, same)).close()

    def _fetched(self, borrowed: PoolProxiedConnection, dialect: Dialect, values: Mapping[str, object]) -> list[Row]:
        compiled = self._for(dialect)
        cursor = self._send(borrowed, dialect, compiled, [_bound(compiled, values)])
        try:
            rows = cast("list[Row]", cursor.fetchall())
        finally:
            cursor.close()
        return [_converted(row, compiled.reads) for row in rows] if compiled.reads else list(rows)

    def _send(
        self, borrowed: PoolProxiedConnection, dialect: Dialect, compiled: _Compiled, parameters: Sequence[Bound]
    ) -> DBAPICursor:
        cursor = cast("DBAPIConnection", borrowed.dbapi_connection).cursor()
        try:
            if len(parameters) == 1:
                cursor.execute(compiled.text, parameters[0])
            else:
                cursor.executemany(compiled.text, cast("Sequence[Mapping[str, object]]", parameters))
        except dialect.loaded_dbapi.Error as error:
            cursor.close()
            is_lost = dialect.is_disconnect(error, borrowed, cursor)
            if is_lost:
                borrowed.invalidate(error)
            raise _as_sqlalchemy_raises(error, dialect, is_lost=is_lost, text=compiled.text) from error
        return cursor

    def _for(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._make(), dialect)
        return compiled


Places = tuple[BindParameter[str], ...]


class ListStatement:
    """A statement about any number of rows of texts, such as ids for `in_`, which an index is asked for one by one.

    It is compiled for 1, 2, 4, ... rows: a list is filled up with its last row, so what the statement does for a row it
    must be able to do twice.
    """

    def __init__(self, width: int, make: Callable[[Sequence[Places]], ClauseElement]) -> None:
        """width: how many texts a row has. make: returns the statement for as many rows as it gets places for."""
        self._width = width
        self._make = make
        self._sizes: dict[int, Statement] = {}

    def rows(self, connection: Connection, given: Sequence[Sequence[str]], **values: object) -> list[Row]:
        """As Statement.rows; given: at least one row."""
        return self._of(given).rows(connection, **self._filled(given), **values)

    def run(self, connection: Connection, given: Sequence[Sequence[str]], **values: object) -> int:
        """As Statement.run; given: at least one row. Returns how many rows of the table it changed."""
        changed, _last_id = self._of(given).run(connection, **self._filled(given), **values)
        return changed

    def _of(self, given: Sequence[Sequence[str]]) -> Statement:
        size = _power_of_two(len(given))
        if size not in self._sizes:
            self._sizes[size] = Statement(lambda: self._make([self._places(number) for number in range(size)]))
        return self._sizes[size]

    def _places(self, number: int) -> Places:
        return tuple(bindparam(f"given_{number}_{place}", type_=String()) for place in range(self._width))

    @staticmethod
    def _filled(given: Sequence[Sequence[str]]) -> dict[str, object]:
        filled = [*given, *[given[-1]] * (_power_of_two(len(given)) - len(given))]
        return {f"given_{number}_{at}": text for number, row in enumerate(filled) for at, text in enumerate(row)}


class UnionStatement:
    """One query with many sets of values as a single statement: a UNION ALL of parts that are compiled once for all.

    SQLAlchemy takes 0.4 ms to make each part of a union.
    """

    def __init__(self, part: ClauseElement) -> None:
        """part: a select with bind parameters; its order and limit are to be in a subquery."""
        self._part = part

    def rows(self, connection: Connection, each: Sequence[Mapping[str, object]]) -> list[Row]:
        """The rows of all parts, as part of the connection's transaction.

        each: for each part the values of the same parameters; at least one part, at most 500 for SQLite.
        """
        part = _compile(self._part, connection.dialect)
        texts, binds = [], []
        for number in range(len(each)):
            own = {name: f"{name}_{number}" for name in each[0]}
            binds += [(own.get(name, name), convert) for name, convert in part.binds]
            texts.append(part.text if part.is_positional else _renamed(part.text, own))
        statement = Statement(lambda: self._part)
        statement._compiled[connection.dialect.name] = replace(part, text=" UNION ALL ".join(texts), binds=binds)
        values = {f"{name}_{number}": value for number, one in enumerate(each) for name, value in one.items()}
        return statement.rows(connection, **values)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with other names of parameters."""
    for name, new in names.items():
        text = text.replace(f"%({name})s", f"%({new})s")
    return text


def _power_of_two(count: int) -> int:
    """The lowest one that is not below the count."""
    return 1 << (count - 1).bit_length()


def _as_sqlalchemy_raises(error: Exception, dialect: Dialect, *, is_lost: bool, text: str | None = None) -> Exception:
    """The error of the driver as SQLAlchemy raises it. text: the statement; None: there is no connection for one."""
    return DBAPIError.instance(
        text, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=is_lost,
        dialect=dialect,
    )  # fmt: skip


def _bound(compiled: _Compiled, values: Mapping[str, object]) -> Bound:
    given = {**compiled.given, **values} if compiled.given else values
    if compiled.is_positional:
        return tuple([given[name] if convert is None else convert(given[name]) for name, convert in compiled.binds])
    return {name: given[name] if convert is None else convert(given[name]) for name, convert in compiled.binds}


def _bound_rows(compiled: _Compiled, rows: Sequence[Mapping[str, object]], same: Mapping[str, object]) -> list[Bound]:
    converts = dict(compiled.binds)
    shared = {name: _converted_by(converts[name], value) for name, value in {**compiled.given, **same}.items()}
    own = [(name, convert) for name, convert in converts.items() if convert is not None and name in rows[0]]
    bound = [{**shared, **row, **{name: convert(row[name]) for name, convert in own}} for row in rows]
    if not compiled.is_positional:
        return list(bound)
    # At least two names, of which a tuple comes back: a table has more columns.
    in_order = itemgetter(*[name for name, _convert in compiled.binds])
    return [in_order(values) for values in bound]


def _converted_by(convert: Convert | None, value: object) -> object:
    return value if convert is None else convert(value)


def _compile(statement: ClauseElement, dialect: Dialect) -> _Compiled:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
    if compiled.post_compile_params:
        raise ValueError("a Statement can't have lists of values")
    processors = cast("Mapping[str, Convert]", compiled._bind_processors)
    names = compiled.positiontup if compiled.positional else compiled.params
    binds = [(name, processors.get(name)) for name in names or ()]
    reads = []
    for place, column in enumerate(compiled._result_columns):
        convert = column.type._cached_result_processor(dialect, None)
        if convert is not None:
            reads.append((place, convert))
    given = {name: compiled.params[name] for bind, name in compiled.bind_names.items() if not bind.required}
    return _Compiled(str(compiled), compiled.positional, binds, given, reads)


def _converted(row: Row, reads: Sequence[tuple[int, Convert]]) -> Row:
    values = list(row)
    for place, convert in reads:
        values[place] = convert(values[place])
    return tuple(values)


__all__ = ["IsoTime", "ListStatement", "Row", "SharedJson", "Statement", "StoredText", "UnionStatement"]
