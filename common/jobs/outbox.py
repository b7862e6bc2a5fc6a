"""The events and messages of a transaction. Events are committed with it and sent after the commit; messages of jobs
may leave just before it (docs/decisions/0034-job-messages-are-sent-before-the-commit.md).

Events get their numbers (`seq`) at commit, so the numbers of a feed have no gaps and follow the order of commits.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import BigInteger, ClauseElement, ColumnElement, String, bindparam, func, insert, select, update
from sqlalchemy.dialects import mysql, sqlite

from common.database import engines
from common.database.compiled_statements import Statement
from common.database.lazy_sessions import LazySession
from common.events.catalogue import Event
from common.events.feed import Entry, message
from common.jobs.announcer import Announcement, announcer
from common.models.journal import EventRow, Feed

log = structlog.get_logger(__name__)

LOGGED = frozenset(
    {
        "taskId", "oldState", "newState", "oldStatus", "newStatus", "agentId", "status", "deploymentId", "environment",
        "questionId", "taskGroupId", "userId", "oldRole", "newRole", "change", "isActive",
        "tokenId", "kind", "what",
    }
)  # fmt: skip
"""The event fields that are logged: ids and states. Titles, questions and answers are not: people wrote them."""

_actor: contextvars.ContextVar[tuple[str, str | None]] = contextvars.ContextVar("actor", default=("platform", None))


@contextlib.contextmanager
def acting(actor: str, request_id: str | None = None) -> Iterator[None]:
    """Set the author of the events recorded inside. actor: a user's name, `agent:<id>`, or `platform`."""
    token = _actor.set((actor, request_id))
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> str:
    """The author of events recorded now."""
    return _actor.get()[0]


class Outbox:
    """The events and messages of one transaction. now: that transaction's clock."""

    def __init__(self, late: LazySession, now: Callable[[], datetime], announcement: Announcement) -> None:
        self._late = late
        self._connection = late.connection
        self._now = now
        self._announcement = announcement
        self._events: list[Event] = []

    def record(self, event: Event) -> None:
        """Have the event committed with the transaction, after those recorded before it."""
        self._events.append(event)

    def write(self) -> None:
        """Number and insert the events. Call it last: it locks feed rows, which come last in the order of locks."""
        self._late.flush()
        if not self._events:
            return
        if len(self._events) == 1 and not engines.is_sqlite():
            self._write_with_next(self._events[0])
            return
        by_feed: dict[str, list[Event]] = defaultdict(list)
        for event in self._events:
            by_feed[event.feed].append(event)
        rows: list[dict[str, object]] = []
        # Events are sent before the other messages of the transaction.
        self._announcement.entries[:0] = [
            entry for feed_id in sorted(by_feed) for entry in self._numbered(feed_id, by_feed[feed_id], rows)
        ]
        who, request_id = _actor.get()
        _INSERT_EVENT.run_each(self._connection, rows, actor=who, request_id=request_id, at=self._now())

    def _write_with_next(self, event: Event) -> None:
        """Number and insert the event in one round trip, that of the commit: the server puts the number into the text.

        It does so once the feed's row is locked, so the text says the number of the row, and `told` the same.
        """
        at = self._shown_time()
        text = message(event.name, event.body(), projectId=event.feed, seq=0, at=at)
        before, after = text[: -len(f'0,"at":"{at}"}}')], f',"at":"{at}"}}'

        def told(_rows: object, seq: int) -> None:
            # Events are sent before the other messages of the transaction.
            self._announcement.entries.insert(0, Entry("event", event.feed, f"{before}{seq}{after}", seq=seq))

        _RAISE_OR_CREATE.run_with_next(self._connection, told, feed=event.feed)
        who, request_id = _actor.get()
        _INSERT_NUMBERED.run_with_next(
            self._connection, None, feed_id=event.feed, name=event.name, task_id=event.subject_task_id, before=before,
            after=after, actor=who, request_id=request_id, at=self._now(),
        )  # fmt: skip

    def wake_worker(self) -> None:
        """Send the messages of jobs that are due now, in the background. Call it just before the commit.

        Who gets one waits for the commit with the claim, or finds nothing if there is none.
        """
        announcer().announce(self._announcement.take_due_job_messages())

    def send(self) -> None:
        """Publish everything else in the background and log the events. Call it after the commit."""
        # First: somebody may wait for it.
        announcer().announce(self._announcement)
        who, request_id = _actor.get()
        bound = log.bind(actor=who, request_id=request_id)
        for event in self._events:
            logged = {name: value for name, value in event.body().items() if name in LOGGED}
            bound.info(event.name, feed=event.feed, **logged)

    def _numbered(self, feed_id: str, events: Sequence[Event], rows: list[dict[str, object]]) -> Iterator[Entry]:
        """Number the feed's events. Adds their rows to `rows`."""
        first = self._raise_seq(feed_id, len(events)) - len(events) + 1
        at = self._shown_time()
        for seq, event in enumerate(events, start=first):
            text = message(event.name, event.body(), projectId=feed_id, seq=seq, at=at)
            rows.append(
                {
                    "feed_id": feed_id, "seq": seq, "name": event.name, "task_id": event.subject_task_id, "data": text,
                }
            )  # fmt: skip
            yield Entry("event", feed_id, text, seq=seq)

    def _shown_time(self) -> str:
        return self._now().isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _raise_seq(self, feed_id: str, by: int) -> int:
        """Raise the feed's counter, creating the feed if needed. Returns the new value."""
        if engines.is_sqlite():
            raised = _RAISE.rows(self._connection, feed=feed_id, by=by)
            if raised:
                return int(raised[0][0])
        else:
            changed, new = _RAISE.run(self._connection, feed=feed_id, by=by)
            if changed:
                return new
        upsert: Any = sqlite.insert(Feed) if engines.is_sqlite() else mysql.insert(Feed)
        row = upsert.values(id=feed_id, seq=by)
        if engines.is_sqlite():
            row = row.on_conflict_do_update(index_elements=["id"], set_={"seq": Feed.seq + by})
        else:
            row = row.on_duplicate_key_update(seq=Feed.seq + by)
        self._connection.execute(row)
        return self._connection.execute(select(Feed.seq).where(Feed.id == feed_id)).scalar_one()


def _raise() -> ClauseElement:
    """Raises a feed's counter and says its new value: SQLite by RETURNING, MariaDB and MySQL in the reply itself."""
    new: ColumnElement[int] = Feed.seq + bindparam("by", type_=BigInteger())
    raised = update(Feed).where(Feed.id == bindparam("feed"))
    if engines.is_sqlite():
        return raised.values(seq=new).returning(Feed.seq)
    return raised.values(seq=func.last_insert_id(new))


def _raise_or_create() -> ClauseElement:
    """The same for MariaDB and MySQL, also for a feed's first event."""
    row = mysql.insert(Feed).values(id=bindparam("feed"), seq=func.last_insert_id(1))
    return row.on_duplicate_key_update(seq=func.last_insert_id(Feed.seq + 1))


def _insert_numbered() -> ClauseElement:
    """Inserts an event with the number that the feed was raised to just before."""
    values: dict[str, object] = {name: bindparam(name) for name in EventRow.__table__.columns.keys()}  # noqa: SIM118
    text = func.concat(bindparam("before", type_=String()), func.last_insert_id(), bindparam("after", type_=String()))
    return insert(EventRow).values({**values, "seq": func.last_insert_id(), "data": text})


_RAISE = Statement(_raise)
_RAISE_OR_CREATE = Statement(_raise_or_create)
_INSERT_NUMBERED = Statement(_insert_numbered)
_INSERT_EVENT = Statement(
    lambda: insert(EventRow).values({name: bindparam(name) for name in EventRow.__table__.columns.keys()})  # noqa: SIM118
)
