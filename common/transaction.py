"""The one way to write: a transaction that locks, records events, enqueues jobs, and commits them together.

`@transactional` runs a service function in one; a function called inside another's joins it. Only the outermost
commits, is run again after a deadlock, and announces (doorbells, events) once it has committed. No network call and
no subprocess may happen inside. `snapshot()` is for reads.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from common import database
from common.announcer import Announcement, announcer
from common.errors import Busy, LeaseLost, NotFound
from common.events import Event
from common.feed import Entry, message
from common.jobs import Kind
from common.machine import patience
from common.models.base import Base
from common.models.journal import EventRow, Feed, Job
from common.names import new_id
from common.states import JobState

log = structlog.get_logger()

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Base)

TRIES = 6
"""How often a function is run when it meets deadlocks, before the caller gets a 503."""

_ANSWERED = {"unavailable_since": None, "waits_for": None}
"""What a job's row says once the world has answered."""

_open: contextvars.ContextVar[Transaction | None] = contextvars.ContextVar("transaction", default=None)
_actor: contextvars.ContextVar[tuple[str, str | None]] = contextvars.ContextVar("actor", default=("platform", None))


@dataclass(frozen=True)
class Lease:
    """A claimed job: what its worker knows of it. Every write it makes is refused once the fence has moved on."""

    job_id: str
    kind: str
    subject_id: str
    project_id: str | None
    fence: int
    generation: int
    attempts: int


@contextlib.contextmanager
def acting(actor: str, request_id: str | None = None) -> Iterator[None]:
    """Whoever writes inside is recorded as `actor` in the events: a user's name, `agent:<id>`, or `platform`."""
    token = _actor.set((actor, request_id))
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> str:
    """Who is writing now."""
    return _actor.get()[0]


@dataclass
class Transaction:
    """An open transaction. Use it only inside the function that got it."""

    session: Session
    _events: list[Event] = field(default_factory=list)
    _announcement: Announcement = field(default_factory=Announcement)
    _now: datetime | None = None
    _rank: int = 0
    _locked: set[tuple[str, str]] = field(default_factory=set)

    def now(self) -> datetime:
        """The database's clock at the first call, aware UTC."""
        if self._now is None:
            self._now = database.read_now(self.session.connection())
        return self._now

    def lock(self, model: type[M], row_id: str) -> M:
        """The row, locked until the end and as it is now. NotFound if it is not there (any more)."""
        rows = self.lock_all(model, [row_id])
        if not rows:
            raise NotFound(f"{model.__tablename__} {row_id}")
        return rows[0]

    def lock_all(self, model: type[M], ids: Iterable[str]) -> list[M]:
        """Those of the rows that exist, locked in the order of their ids; models in that of lock_rank."""
        wanted = sorted(set(ids))
        fresh = [row_id for row_id in wanted if (model.__tablename__, row_id) not in self._locked]
        if fresh and model.lock_rank < self._rank:
            raise RuntimeError(f"{model.__tablename__} is locked after a row that comes later in the order")
        self._rank = max(self._rank, model.lock_rank)
        self._locked.update((model.__tablename__, row_id) for row_id in fresh)
        key: Any = model.id  # type: ignore[attr-defined]
        query = select(model).where(key.in_(wanted)).order_by(key).with_for_update()
        return list(self.session.scalars(query.execution_options(populate_existing=bool(fresh))))

    def get(self, model: type[M], row_id: str) -> M:
        """The row without a lock. NotFound if there is none."""
        row = self.session.get(model, row_id)
        if row is None:
            raise NotFound(f"{model.__tablename__} {row_id}")
        return row

    def find(self, query: Select[M]) -> M | None:
        return self.session.scalars(query).first()

    def all(self, query: Select[M]) -> list[M]:
        return list(self.session.scalars(query))

    def add(self, row: M) -> M:
        """Insert the row now, so that a broken constraint is noticed here."""
        self.session.add(row)
        self.session.flush()
        return row

    def record(self, event: Event | None) -> None:
        """The event commits with this transaction, in this order. None: nothing to record."""
        if event is not None:
            self._events.append(event)

    def tell(self, project_id: str, event: str, body: dict[str, Any], *, task_id: str = "") -> None:
        """An ephemeral message after commit, to the followers of the task, or of the project without one."""
        self._announcement.entries.append(
            Entry("ephemeral", project_id, message(event, body, projectId=project_id), task_id=task_id)
        )

    def wake(self, key: str) -> None:
        """Wake whoever waits for `key` (a long poll) after commit."""
        self._announcement.entries.append(Entry("wake", key))

    def access_changed(self, user_id: str) -> None:
        """After commit, open sockets of this user are checked again."""
        self._announcement.entries.append(Entry("access", user_id))

    def enqueue(self, kind: Kind, subject_id: str, *, project_id: str | None, after_seconds: float = 0) -> str:
        """The job will run after commit: a new row, or the live one told to run (once more). Returns its id."""
        due = self.now() + timedelta(seconds=after_seconds)
        key = f"{kind.name}:{subject_id}"
        self._insert_job(kind, subject_id, project_id, key, due)
        row = self.session.execute(select(Job.id).where(Job.live_key == key)).scalar_one()
        self._announcement.rings.append((after_seconds, kind.name, row))
        return row

    def _insert_job(self, kind: Kind, subject_id: str, project_id: str | None, key: str, due: datetime) -> None:
        values = {
            "id": new_id(), "kind": kind.name, "subject_id": subject_id, "project_id": project_id, "live_key": key,
            "state": JobState.QUEUED, "generation": 1, "next_at": due, "attempts": 0, "fence": 0, "waits": 0,
            "created_at": self.now(),
        }  # fmt: skip
        if database.is_sqlite():
            insert = sqlite.insert(Job).values(values)
            earlier = {"generation": Job.generation + 1, "next_at": func.min(Job.next_at, insert.excluded.next_at)}
            self.session.execute(insert.on_conflict_do_update(index_elements=["live_key"], set_=earlier))
        else:
            insert_mysql = mysql.insert(Job).values(values)
            self.session.execute(
                insert_mysql.on_duplicate_key_update(
                    generation=Job.generation + 1, next_at=func.least(Job.next_at, insert_mysql.inserted.next_at)
                )
            )

    def finish(self, lease: Lease) -> None:
        """The job is done, or runs again if it was enqueued meanwhile. LeaseLost if it was taken over."""
        mine = (Job.id == lease.job_id, Job.fence == lease.fence, Job.state == JobState.RUNNING)
        over = {"lease_until": None, "attempts": 0, "waits": 0, "error": None, **_ANSWERED}
        done = (
            update(Job)
            .where(*mine, Job.generation == lease.generation)
            .values(state=JobState.DONE, live_key=None, finished_at=self.now(), **over)
        )
        if self._rowcount(done):
            self.announce_job(lease, JobState.DONE)
            return
        anew = update(Job).where(*mine).values(state=JobState.QUEUED, next_at=self.now(), **over)
        if not self._rowcount(anew):
            raise LeaseLost(lease.job_id)
        self._announcement.rings.append((0, lease.kind, lease.job_id))

    def again(self, lease: Lease, *, after_seconds: float) -> None:
        """The job did a step and is to look again later, or at once if it was enqueued meanwhile."""
        mine = (Job.id == lease.job_id, Job.fence == lease.fence, Job.state == JobState.RUNNING)
        over: dict[str, Any] = {"state": JobState.QUEUED, "lease_until": None, "attempts": 0, "waits": 0, **_ANSWERED}
        later = self.now() + timedelta(seconds=after_seconds)
        waiting = update(Job).where(*mine, Job.generation == lease.generation)
        if self._rowcount(waiting.values(next_at=later, **over)):
            self._announcement.rings.append((after_seconds, lease.kind, lease.job_id))
            return
        if not self._rowcount(update(Job).where(*mine).values(next_at=self.now(), **over)):
            raise LeaseLost(lease.job_id)
        self._announcement.rings.append((0, lease.kind, lease.job_id))

    def hold(self, lease: Lease) -> None:
        """Refuse to go on where the job was taken over, and keep it until commit: for a step between two others."""
        row = self.session.execute(
            select(Job.id).where(Job.id == lease.job_id, Job.fence == lease.fence, Job.state == JobState.RUNNING)
            .with_for_update()
        ).first()  # fmt: skip
        if row is None:
            raise LeaseLost(lease.job_id)

    def ring_later(self, kind: str, job_id: str, seconds: float = 0) -> None:
        self._announcement.rings.append((seconds, kind, job_id))

    def announce_job(self, lease: Lease, state: JobState) -> None:
        if lease.project_id:
            body = {"jobId": lease.job_id, "kind": lease.kind, "subjectId": lease.subject_id, "state": state}
            self.tell(lease.project_id, "job:progress", body)

    def _rowcount(self, statement: Any) -> int:
        self.session.flush()
        result: Any = self.session.execute(statement.execution_options(synchronize_session=False))
        return int(result.rowcount)

    def _write_events(self) -> None:
        """Raise each feed's seq, last of all locks, and write the events: gap-free and in the order of commits."""
        by_feed: dict[str, list[Event]] = defaultdict(list)
        for event in self._events:
            by_feed[event.feed].append(event)
        who, request_id = _actor.get()
        entries: list[Entry] = []
        for feed_id in sorted(by_feed):
            events = by_feed[feed_id]
            last = self._raise_seq(feed_id, len(events))
            for seq, event in enumerate(events, start=last - len(events) + 1):
                at = self.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
                text = message(event.name, event.body(), projectId=feed_id, seq=seq, at=at)
                self.session.add(
                    EventRow(
                        feed_id=feed_id, seq=seq, name=event.name, task_id=event.subject_task_id, data=text,
                        actor=who, request_id=request_id, at=self.now(),
                    )
                )  # fmt: skip
                entries.append(Entry("event", feed_id, text, seq=seq))
        self._announcement.entries[:0] = entries
        self.session.flush()

    def _raise_seq(self, feed_id: str, by: int) -> int:
        raised: Any = self.session.execute(
            update(Feed)
            .where(Feed.id == feed_id)
            .values(seq=Feed.seq + by)
            .execution_options(synchronize_session=False)
        )
        if raised.rowcount == 0:
            insert: Any = sqlite.insert(Feed) if database.is_sqlite() else mysql.insert(Feed)
            row = insert.values(id=feed_id, seq=by)
            if database.is_sqlite():
                row = row.on_conflict_do_update(index_elements=["id"], set_={"seq": Feed.seq + by})
            else:
                row = row.on_duplicate_key_update(seq=Feed.seq + by)
            self.session.execute(row)
        return self.session.execute(select(Feed.seq).where(Feed.id == feed_id)).scalar_one()

    def _log_changes(self) -> None:
        who, request_id = _actor.get()
        for event in self._events:
            log.info(event.name, feed=event.feed, actor=who, request_id=request_id, **_loggable(event))


def _loggable(event: Event) -> dict[str, Any]:
    """Ids and states only: titles, questions and answers are people's own words."""
    kept = {"taskId", "oldState", "newState", "oldStatus", "newStatus", "agentId", "status", "deploymentId",
            "environment", "questionId", "taskGroupId"}  # fmt: skip
    return {name: value for name, value in event.body().items() if name in kept}


def transactional(function: Callable[Concatenate[Transaction, P], R]) -> Callable[P, R]:
    """Run the function in a transaction, its first argument; join the open one if there is one.

    The outermost commits when the function returns and rolls back when it raises. After a deadlock or a connection
    lost before COMMIT the whole function runs again, so it must do nothing but database work. Busy when that did not
    help; CommitUnknown, and never again, when the answer to COMMIT was lost.
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
                if attempt == TRIES or patience.is_over() or not database.is_retried(error):
                    database.raise_busy(error)
                    raise
                time.sleep(random.uniform(0.005, 0.02 * 2**attempt))  # noqa: S311 (jitter, not a secret)
            except PoolTimeoutError as error:
                raise Busy("all database connections are in use") from error
        raise AssertionError("unreachable")

    return run


def _run_once(function: Callable[[Transaction], R]) -> R:
    lock = database.sqlite_write_lock if database.is_sqlite() else contextlib.nullcontext()
    with _held(lock), Session(database.engine(), expire_on_commit=False) as session:
        _begin(session)
        tx = Transaction(session)
        token = _open.set(tx)
        try:
            result = function(tx)
            tx._write_events()
            database.commit(session)
        finally:
            _open.reset(token)
    tx._log_changes()
    announcer().announce(tx._announcement)
    return result


@contextlib.contextmanager
def _held(lock: Any) -> Iterator[None]:
    if isinstance(lock, contextlib.nullcontext):
        yield
        return
    with patience.waiting():
        is_held = lock.acquire(timeout=patience.for_one(database.WRITE_WAIT_SECONDS))
    if not is_held:
        raise Busy("the database was busy for too long")
    try:
        yield
    finally:
        lock.release()


def _begin(session: Session) -> None:
    """Begin; on SQLite wait outside of it for another process's lock, in short sleeps."""
    deadline = time.monotonic() + patience.for_one(database.WRITE_WAIT_SECONDS)
    while True:
        try:
            session.connection()
        except DBAPIError as error:
            session.rollback()
            if not (database.is_lock_wait(error) and time.monotonic() < deadline):
                raise
            with patience.waiting():
                threading.Event().wait(random.uniform(0.001, 0.01))  # noqa: S311 (jitter, not a secret)
        else:
            return


class Snapshot:
    """Reads, each statement by itself (AUTOCOMMIT)."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, model: type[M], row_id: str) -> M | None:
        return self.session.get(model, row_id)

    def find(self, query: Select[M]) -> M | None:
        return self.session.scalars(query).first()

    def all(self, query: Select[M]) -> Sequence[M]:
        return self.session.scalars(query).all()

    def now(self) -> datetime:
        return database.read_now(self.session.connection())


@contextlib.contextmanager
def snapshot() -> Iterator[Snapshot]:
    """Read what is committed; inside an open transaction, what that one sees. Busy when the database is away."""
    joined = _open.get()
    if joined is not None:
        yield Snapshot(joined.session)
        return
    try:
        with Session(database.engine(reads=True), expire_on_commit=False, autoflush=False) as session:
            yield Snapshot(session)
    except PoolTimeoutError as error:
        raise Busy("all database connections are in use") from error
    except DBAPIError as error:
        database.raise_busy(error)
        raise
