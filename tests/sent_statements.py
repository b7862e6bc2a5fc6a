"""Notes what is sent to the database: by SQLAlchemy, and by `Statement`, which goes straight to the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import PoolProxiedConnection

from common.database.compiled_statements import Bound, Statement, _bound, _Compiled
from common.database.mariadb_connection import PatientConnection, ResultCallback

Note = Callable[[str, object, bool], None]


@contextmanager
def recording_statements(note: Note) -> Iterator[None]:
    """Inside, `note` is called before each statement: its text and parameters as the driver gets them, and whether it
    is sent for many rows at once.
    """
    send, hand_over = Statement._send, Statement._hand_over

    def by_sqlalchemy(
        _connection: object, _cursor: object, sql: str, parameters: object, _context: object, many: bool
    ) -> None:  # fmt: skip
        note(sql, parameters, many)

    def by_statement(
        self: Statement, borrowed: PoolProxiedConnection, dialect: Dialect, compiled: _Compiled,
        parameters: Sequence[Bound],
    ) -> DBAPICursor:  # fmt: skip
        note(compiled.text, parameters[0], len(parameters) > 1)
        return send(self, borrowed, dialect, compiled, parameters)

    def with_next(
        self: Statement, driver: PatientConnection, dialect: Dialect, then: ResultCallback,
        values: Mapping[str, object],
    ) -> bool:  # fmt: skip
        compiled = self._for(dialect)
        is_taken = hand_over(self, driver, dialect, then, values)
        if is_taken:
            note(compiled.text, _bound(compiled, values), False)
        return is_taken

    event.listen(Engine, "before_cursor_execute", by_sqlalchemy)
    Statement._send = by_statement  # type: ignore[method-assign]
    Statement._hand_over = with_next  # type: ignore[method-assign]
    try:
        yield
    finally:
        Statement._send = send  # type: ignore[method-assign]
        Statement._hand_over = hand_over  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", by_sqlalchemy)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The texts of all that are sent inside."""
    seen: list[str] = []

    def note(sql: str, _parameters: object, _many: bool) -> None:
        seen.append(sql)

    with recording_statements(note):
        yield seen
