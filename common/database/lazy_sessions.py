"""Sessions of open transactions, made when something needs one.

A session costs more than the few statements of a write that comes often, such as a new task, which needs no entities.
"""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import instance_state


class LazySession:
    """The session of the transaction that is open on the connection, or of the innermost savepoint there."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._session: Session | None = None
        self._rows: list[object] = []

    @property
    def session(self) -> Session:
        """Made at its first use. An error in a flush rolls the transaction, or the savepoint, back."""
        if self._session is None:
            self._session = Session(self.connection, join_transaction_mode="rollback_only", expire_on_commit=False)
            self._session.add_all(self._rows)
        return self._session

    def hold(self, row: object) -> None:
        """Make a row that was inserted the session's."""
        if self._session is None:
            self._rows.append(row)
        else:
            self._session.add(row)

    def flush(self) -> None:
        """Write what was changed. Raises SQLAlchemy's PendingRollbackError after an error that somebody swallowed."""
        if self._is_needed():
            if not self.session.is_active:
                # A statement on the driver's cursor would run, and on SQLite be committed, outside of the transaction.
                self.session.connection()
            self.session.flush()

    def end(self) -> None:
        """As flush, when nothing is changed any more. The connection's transaction stays open."""
        if self._is_needed():
            self.session.commit()

    def _is_needed(self) -> bool:
        """Whether there is a session, or a row that was changed since it was inserted."""
        return self._session is not None or any(instance_state(row).modified for row in self._rows)

    def close(self) -> None:
        """Detach all rows. What was not flushed is dropped."""
        if self._session is not None:
            self._session.close()
