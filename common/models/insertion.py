"""Inserts a new row without the unit of work, which costs more than the INSERT itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, insert, inspect
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from common.database.compiled_statements import Statement
from common.database.lazy_sessions import LazySession
from common.models.base import Base

M = TypeVar("M", bound=Base)
Default = Callable[[], object]


def insert_with_next(at: LazySession, model: type[M], values: Mapping[str, object]) -> M:
    """Insert a new object, given by its attributes, with the next statement at the latest; the session holds it now.

    It is made as SQLAlchemy makes those that it loads: the constructor notes each attribute as a change, which costs as
    much as the INSERT. Columns that were not set get their default, or NULL. Pending changes of the session are not
    flushed.
    """
    attributes = _attributes(model)
    row = cast("M", inspect(model).class_manager.new_instance())
    held = row.__dict__
    held.update(values)
    for name, _column, default in attributes:
        if name not in held:
            held[name] = default()
    if len(held) != len(attributes) + 1:
        raise TypeError(f"{model.__name__} has no columns {values.keys() - {name for name, *_rest in attributes}}")
    sent = {column: value for name, column, _default in attributes if (value := held[name]) is not None}
    _insertion_of(model, tuple(sent)).run_with_next(at.connection, None, **sent)
    make_transient_to_detached(row)
    at.hold(row)
    return row


def insert_values(
    connection: Connection, model: type[Base], rows: Sequence[Mapping[str, object]], **same: object
) -> None:  # fmt: skip
    """Insert new rows at once, given by the names of the columns. They do not become the session's.

    All rows set the same columns, ids among them. same: what all of them have. The other columns get their default, the
    same for all, or NULL.
    """
    if not rows:
        return
    for _name, column, default in _attributes(model):
        # What is NULL is not sent: pymysql would write it into the statement for each row.
        if column not in rows[0] and column not in same and (value := default()) is not None:
            same[column] = value
    _insertion_of(model, (*rows[0], *same)).run_each(connection, rows, **same)


@functools.cache
def _insertion_of(model: type[Base], columns: tuple[str, ...]) -> Statement:
    """For a row with these columns; the others get NULL."""
    return Statement(lambda: insert(cast("Table", model.__table__)).values({name: bindparam(name) for name in columns}))


@functools.cache
def _attributes(model: type[Base]) -> list[tuple[str, str, Default]]:
    """For each attribute its name, its column and what makes its default."""
    attributes: list[tuple[str, str, Default]] = []
    for attribute in inspect(model).column_attrs:
        (column,) = attribute.columns
        attributes.append((attribute.key, column.name, _default_of(column)))
    return attributes


def _default_of(column: ColumnElement[object]) -> Default:
    assert isinstance(column, Column)
    default = column.default
    if default is None:
        if column.server_default is not None:
            raise ValueError(f"{column} has a default of the server's alone")
        return lambda: None
    if isinstance(default, CallableColumnDefault):
        return functools.partial(default.arg, None)  # type: ignore[arg-type]
    assert isinstance(default, ScalarElementColumnDefault)
    return lambda: default.arg
