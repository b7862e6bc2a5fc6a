"""Lets an upgrade of MariaDB or MySQL that ended in the middle of a migration be run again.

The server commits each DDL statement by itself, and what was written before it. A migration that was interrupted leaves
some of its tables, columns and indexes, but not its version, so the next upgrade begins it anew: what is there already
is not made again, and what is gone is not dropped again. The statements after the last DDL of a migration are committed
together with its version.

Covers the operations of alembic. DDL in plain SQL, and statements that read a column that the migration drops, look
first by `has_column` and `has_index`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.ddl.mysql import MariaDBImpl, MySQLImpl


def has_column(table: str, name: str) -> bool:
    """Whether the table, which exists, has the column."""
    return _has_column(op.get_bind(), table, name)


def has_index(table: str, name: str) -> bool:
    """Whether the table, which exists, has the index."""
    return sa.inspect(op.get_bind()).has_index(table, name)


def _has_column(connection: sa.Connection, table: str, name: str) -> bool:
    return name in {column["name"] for column in sa.inspect(connection).get_columns(table)}


class RepeatedOnMySQL(MySQLImpl):
    """Alembic takes it for this dialect because it is defined after its own.

    Looks only where an upgrade has begun before. In a database that never had a schema, a table of the same name is
    that of another program, and an error.
    """

    __dialect__ = "mysql"

    def __init__(self, dialect: sa.Dialect, connection: sa.Connection, *others: object) -> None:
        super().__init__(dialect, connection, *others)  # type: ignore[arg-type]
        # Alembic creates this table before it runs the first migration.
        self._has_begun = sa.inspect(connection).has_table("alembic_version")

    def create_table(self, table: sa.Table, **options: object) -> None:
        if not self._is_there(table.name):
            super().create_table(table, **options)
            return
        for index in table.indexes:
            self.create_index(index)

    def drop_table(self, table: sa.Table, **options: object) -> None:
        if not self._has_begun or self._is_there(table.name):
            super().drop_table(table, **options)

    def add_column(self, table_name: str, column: sa.Column[object], **options: object) -> None:
        if not self._is_there(table_name, column=column.name):
            super().add_column(table_name, column, **options)  # type: ignore[arg-type]

    def drop_column(self, table_name: str, column: sa.Column[object], **options: object) -> None:
        if not self._has_begun or self._is_there(table_name, column=column.name):
            super().drop_column(table_name, column, **options)  # type: ignore[arg-type]

    def create_index(self, index: sa.Index, **options: object) -> None:
        if not self._is_there(_table_of(index), index=index.name):
            super().create_index(index, **options)

    def drop_index(self, index: sa.Index, **options: object) -> None:
        if not self._has_begun or self._is_there(_table_of(index), index=index.name):
            super().drop_index(index, **options)

    def _is_there(self, table: str, *, column: str | None = None, index: str | None = None) -> bool:
        """Whether an earlier upgrade left it. Always False if there was none."""
        connection = self.connection
        if not self._has_begun or connection is None:
            return False
        if column is not None:
            return _has_column(connection, table, column)
        # Looked up anew each time, as an Inspector remembers what it has seen.
        found = sa.inspect(connection)
        return found.has_table(table) if index is None else found.has_index(table, index)


class RepeatedOnMariaDB(RepeatedOnMySQL, MariaDBImpl):
    """The same for URLs that begin with `mariadb`."""

    __dialect__ = "mariadb"


def _table_of(index: sa.Index) -> str:
    assert index.table is not None
    return index.table.name
