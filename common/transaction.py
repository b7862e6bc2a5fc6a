"""Transactions: the only way to write. Rows, events and jobs are committed together.

`@transactional` runs a service function in a transaction; a nested call joins the open one. Only the outermost call
commits, is repeated after a deadlock, and sends events after the commit (messages of jobs: see
`_Attempt.send_job_messages_if_alone`). Network calls and subprocesses are not allowed inside. `snapshot()` is for
reads.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from sqlalchemy import ColumnElement, Connection, Select, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from common.database import commit_groups, engines, wait_budget
from common.database.commit_groups import CommitGroup
from common.database.compiled_statements import Row, Statement
from common.database.lazy_sessions import LazySession
from common.errors import Busy, NotFound
from common.events.catalogue import Event
from common.jobs.announcer import Announcement
from common.jobs.catalogue import Kind, Lease
from common.jobs.outbox import Outbox
from common.jobs.queue import JobQueue
from common.machine.waiting import growing_delay
from common.models.base import Base
from common.models.insertion import insert_with_next

if TYPE_CHECKING:
    from common.database.mariadb_connection import PatientConnection

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Base)

TRIES = 6
"""How often a function is run if others get in its way; if by deadlocks, the caller then gets a 503."""

_open: contextvars.ContextVar[Transaction | None] = contextvars.ContextVar("transaction", default=None)
_writing: set[int] = set()
"""The threads, or greenlets, of this process that are in a transaction or wait for their turn."""


class Transaction:
    """An open transaction. Use it only inside the function that received it."""

    def __init__(self, late: LazySession) -> None:
        announcement = Announcement()
        self.late = late
        self.connection = late.connection
        self.outbox = Outbox(late, self.now, announcement)
        self.queue = JobQueue(late, self.now, announcement)
        self._announcement = announcement
        self._now: datetime | None = None
        self._rank = 0
        self._locked: set[tuple[str, str]] = set()

    @property
    def session(self) -> Session:
        """For queries of entities; made at its first use."""
        return self.late.session

    def now(self) -> datetime:
        """The database's time at the first call in this transaction, aware UTC."""
        if self._now is None:
            self._now = engines.read_now(self.connection)
        return self._now

    def note_now(self, now: datetime | None) -> None:
        """Take the time that a statement has read by `clock_to_note`, unless there is one. None: it has read none."""
        if self._now is None:
            self._now = now

    def lock(self, model: type[M], row_id: str) -> M:
        """Lock the row until the end of the transaction and return it, read anew. NotFound if it does not exist."""
        rows = self.lock_all(model, [row_id])
        if not rows:
            raise NotFound(f"{model.__tablename__} {row_id}")
        return rows[0]

    def lock_all(self, model: type[M], ids: Iterable[str]) -> list[M]:
        """Lock those of the rows that exist, in the order of their ids, and return them.

        RuntimeError if a row of a model with a higher lock_rank was locked before.
        """
        wanted = sorted(set(ids))
        fresh = [row_id for row_id in wanted if (model.__tablename__, row_id) not in self._locked]
        if fresh and model.lock_rank < self._rank:
            raise RuntimeError(f"{model.__tablename__} rows must be locked before rows of a higher lock_rank")
        self._rank = max(self._rank, model.lock_rank)
        self._locked.update((model.__tablename__, row_id) for row_id in fresh)
        key: Any = model.id  # type: ignore[attr-defined]
        query = select(model).where(key.in_(wanted)).order_by(key).with_for_update()
        return list(self.session.scalars(query.execution_options(populate_existing=bool(fresh))))

    def get(self, model: type[M], row_id: str) -> M:
        """The row, without a lock. NotFound if it does not exist."""
        row = self.session.get(model, row_id)
        if row is None:
            raise NotFound(f"{model.__tablename__} {row_id}")
        return row

    def find(self, query: Select[M]) -> M | None:
        return self.session.scalars(query).first()

    def all(self, query: Select[M]) -> list[M]:
        return list(self.session.scalars(query))

    def rows(self, statement: Statement, **values: object) -> list[Row]:
        """The rows of a statement that is asked often. values: of its parameters. Pending changes are written first."""
        self.late.flush()
        return statement.rows(self.connection, **values)

    def add(self, row: M) -> M:
        """Insert the row at once, so that a violated constraint raises here."""
        self.session.add(row)
        self.session.flush()
        return row

    def insert_with_next(self, model: type[M], /, **values: object) -> M:
        """As `add`, in a small part of the time, for a row that depends on no other pending one.

        values: of its attributes. On MariaDB and MySQL it is sent with the next statement, where a violated constraint
        raises.
        """
        return insert_with_next(self.late, model, values)

    def record(self, event: Event | None) -> None:
        """Commit the event with this transaction, after those recorded before. None: nothing to record."""
        if event is not None:
            self.outbox.record(event)

    def notify(self, project_id: str, event: str, body: Mapping[str, object], *, task_id: str = "") -> None:
        """After commit, send an ephemeral message to followers of the task, or of the project if task_id is empty."""
        self._announcement.notify(project_id, event, body, task_id=task_id)

    def notify_person(self, user_id: str, event: str, body: Mapping[str, object]) -> None:
        """After commit, send an ephemeral message to all sockets of this user, and to nobody else."""
        self._announcement.notify_person(user_id, event, body)

    def wake(self, key: str) -> None:
        """After commit, wake the long polls that wait for `key`."""
        self._announcement.wake(key)

    def access_changed(self, user_id: str) -> None:
        """After commit, have the access of this user's open sockets checked again."""
        self._announcement.access_changed(user_id)

    def enqueue(self, kind: Kind, subject_id: str, *, project_id: str | None, after_seconds: float = 0) -> str:
        """After commit, run a new job, or the live one for the same subject once more. Returns the job's id."""
        return self.queue.enqueue(kind, subject_id, project_id=project_id, after_seconds=after_seconds)

    def enqueue_with_next(self, kind: Kind, subject_id: str, *, project_id: str | None) -> None:
        """As `enqueue`, for who does not need the id: on MariaDB and MySQL it is sent with the next statement."""
        self.queue.enqueue_with_next(kind, subject_id, project_id=project_id)

    def finish(self, lease: Lease) -> None:
        """Mark the job done, or run it again if it was enqueued meanwhile. LeaseLost if another worker has the job."""
        self.queue.finish(lease)

    def again(self, lease: Lease, *, after_seconds: float, still_waits: bool = False) -> None:
        """Run the job again later, or at once if it was enqueued meanwhile. LeaseLost: see `finish`.

        still_waits: it may have to wait for a provider as before: the time since then still counts.
        """
        self.queue.again(lease, after_seconds=after_seconds, still_waits=still_waits)

    def hold(self, lease: Lease) -> None:
        """Lock the job until commit, so that no other worker can claim it. LeaseLost: see `finish`."""
        self.queue.hold(lease)


def clock_to_note() -> ColumnElement[datetime]:
    """A column of a transaction's first query, for `note_now`: asking alone is a round trip, but not on SQLite."""
    return literal(None, engines.UtcDateTime()) if engines.is_sqlite() else engines.clock("")


def transactional(function: Callable[Concatenate[Transaction, P], R]) -> Callable[P, R]:
    """Run the function in a transaction, passed as its first argument. Joins the open transaction if there is one.

    The outermost call commits when the function returns and rolls back when it raises. After a deadlock or a connection
    lost before COMMIT, the whole function runs again, so it must do nothing but database work. Raises Busy if all tries
    fail. Raises CommitUnknown, without another try, if the answer to COMMIT was lost.

    It also runs again if a row with the same unique key was there when it inserted one, or a row to which the new one
    refers was not: a function that looks for such a row first finds it then, or none. IntegrityError if that does not
    help.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        joined = _open.get()
        if joined is not None:
            return function(joined, *args, **kwargs)
        for attempt in range(1, TRIES + 1):
            try:
                return _run_once(lambda tx: function(tx, *args, **kwargs))
            except DBAPIError as error:
                is_repeated = engines.is_retried(error) or engines.is_overtaken(error)
                if attempt == TRIES or wait_budget.is_over() or not is_repeated:
                    engines.raise_busy(error)
                    raise
                time.sleep(random.uniform(0.005, 0.02 * 2**attempt))  # noqa: S311 (jitter, not a secret)
            except PoolTimeoutError as error:
                raise Busy("all database connections are in use") from error
        raise AssertionError("unreachable")

    return run


def _run_once(function: Callable[[Transaction], R]) -> R:
    attempt, thread = _Attempt(function), threading.get_ident()
    _writing.add(thread)
    try:
        if engines.is_sqlite():
            _run_on_sqlite(attempt)
        else:
            with contextlib.closing(_begun()) as connection:
                attempt.run(connection)
                before_commit(connection, attempt.send_job_messages_if_alone)
                engines.commit(connection)
    finally:
        _writing.discard(thread)
    return attempt.finish()


class _Attempt(Generic[R]):
    """One run of a function in a transaction."""

    def __init__(self, function: Callable[[Transaction], R]) -> None:
        self._function = function
        self._outcome: tuple[R, Transaction] | None = None

    def run(self, connection: Connection) -> None:
        """Run the function, and write its events. Does not commit."""
        late = LazySession(connection)
        try:
            tx = Transaction(late)
            token = _open.set(tx)
            try:
                result = self._function(tx)
                tx.outbox.write()
            finally:
                _open.reset(token)
            late.end()
        finally:
            late.close()
        self._outcome = result, tx

    def send_job_messages_if_alone(self) -> None:
        """Send the messages of its jobs before it is committed: they need about as long as a commit does.

        Not while others write, too: then one round trip to Redis, after the commit, serves several of them. And not
        where SQLite's commit holds all greenlets of the process: nothing would be sent meanwhile.
        """
        assert self._outcome is not None
        if len(_writing) == 1 and not (engines.is_sqlite() and commit_groups.has_greenlets()):
            self._outcome[1].outbox.wake_worker()

    def finish(self) -> R:
        """Send what the committed transaction has to tell, and return what the function returned."""
        assert self._outcome is not None
        result, tx = self._outcome
        tx.outbox.send()
        return result


def before_commit(connection: Connection, act: Callable[[], None]) -> None:
    """Have it called when all statements are answered, just before COMMIT is sent. On SQLite that is now."""
    if engines.is_sqlite():
        act()
    else:
        cast("PatientConnection", connection.connection.dbapi_connection).at_commit = act


def _run_on_sqlite(attempt: _Attempt[R]) -> None:
    """Run and commit it: alone, as the first of a group, or as part of one."""
    deadline = time.monotonic() + wait_budget.bounded(engines.WRITE_WAIT_SECONDS)
    while (full := _run_in_turn(attempt)) is not None:
        with wait_budget.waiting():
            if not full.wait_until_over(max(0.0, deadline - time.monotonic())):
                raise Busy("the database was busy for too long")


def _run_in_turn(attempt: _Attempt[R]) -> CommitGroup | None:
    """The same, unless the group that is open has no room: then it is returned, and nothing was run."""
    failure: Exception | None = None
    with commit_groups.write_lock():
        group = commit_groups.joinable()
        if group is None:
            with contextlib.closing(_begun()) as connection:
                attempt.run(connection)
                with commit_groups.committed_together(connection):
                    before_commit(connection, attempt.send_job_messages_if_alone)
                    engines.commit(connection)
            return None
        if group.is_full:
            return group
        try:
            group.run(attempt.run)
        except Exception as error:  # noqa: BLE001 (raised below)
            failure = error
    # It may have failed because of what was not committed yet.
    group.wait()
    if failure is not None:
        raise failure
    return None


def _begun() -> Connection:
    """A connection with an open transaction, to be closed by the caller, which rolls back what was not committed.

    If another process holds SQLite's lock, this tries again after short sleeps, not inside SQLite.
    """
    deadline = time.monotonic() + wait_budget.bounded(engines.WRITE_WAIT_SECONDS)
    for failures in itertools.count(1):
        connection: Connection | None = None
        try:
            connection = engines.engine().connect()
            connection.begin()
        except DBAPIError as error:
            if connection is not None:
                connection.close()
            if not (engines.is_lock_wait(error) and time.monotonic() < deadline):
                raise
            with wait_budget.waiting():
                # Most commits are over within a millisecond or two.
                longest = growing_delay(failures, first_seconds=0.001, longest_seconds=0.01)
                threading.Event().wait(random.uniform(0.0003, longest))  # noqa: S311 (jitter, not a secret)
        else:
            return connection
    raise AssertionError("unreachable")


class Snapshot:
    """Reads without a transaction (AUTOCOMMIT): each statement sees what is committed at that moment."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, model: type[M], row_id: str) -> M | None:
        return self.session.get(model, row_id)

    def find(self, query: Select[M]) -> M | None:
        return self.session.scalars(query).first()

    def all(self, query: Select[M]) -> Sequence[M]:
        return self.session.scalars(query).all()

    def rows(self, statement: Statement, **values: object) -> list[Row]:
        """The rows of a statement that is asked often. values: of its parameters."""
        return statement.rows(self.session.connection(), **values)

    def now(self) -> datetime:
        return engines.read_now(self.session.connection())


@contextlib.contextmanager
def snapshot() -> Iterator[Snapshot]:
    """Read committed rows; inside an open transaction, read as part of it. Raises Busy if the database is down."""
    joined = _open.get()
    if joined is not None:
        yield Snapshot(joined.session)
        return
    try:
        with Session(engines.engine(reads=True), expire_on_commit=False, autoflush=False) as session:
            yield Snapshot(session)
    except PoolTimeoutError as error:
        raise Busy("all database connections are in use") from error
    except DBAPIError as error:
        engines.raise_busy(error)
        raise


def read_rows(statement: Statement, **values: object) -> list[Row]:
    """As `snapshot`, for one statement that is asked often: it needs no session. values: of its parameters."""
    joined = _open.get()
    if joined is not None:
        return statement.rows(joined.connection, **values)
    try:
        return statement.read(**values)
    except PoolTimeoutError as error:
        raise Busy("all database connections are in use") from error
    except DBAPIError as error:
        engines.raise_busy(error)
        raise
