"""Notes what is sent to the database: by SQLAlchemy, and by `Statement`, which goes straight to the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import PoolProxiedConnection

from common.statements import Bound, Statement, _Compiled

Note = Callable[[str, object, bool], None]


@contextmanager
def noting(note: Note) -> Iterator[None]:
    """Inside, `note` is called before each statement: its text and parameters as the driver gets them, and whether it
    is sent for many rows at once.
    """
    send = Statement._send

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

    event.listen(Engine, "before_cursor_execute", by_sqlalchemy)
    Statement._send = by_statement  # type: ignore[method-assign]
    try:
        yield
    finally:
        Statement._send = send  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", by_sqlalchemy)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The texts of all that are sent inside."""
    seen: list[str] = []

    def note(sql: str, _parameters: object, _many: bool) -> None:
        seen.append(sql)

    with noting(note):
        yield seen
