"""Reads the durable events, with access control, and deletes old ones.

Events are written by transactions (common/transaction.py) and never change. A feed's stored events have no gaps: only
the oldest ones are ever deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, delete, select

from common.database import engines
from common.errors import NotFound
from common.events.catalogue import ADMINISTRATION, PLATFORM
from common.models.journal import EventRow, Feed
from common.models.project import Project
from common.models.task import Task
from common.services.activity import audit
from common.services.requests.access import Caller, sees_project, visible_projects
from common.services.upkeep.purging import was_cut_short
from common.transaction import Transaction, snapshot, transactional

KEPT_DAYS = 7
PAGE = 500
_PURGED_AT_ONCE = 2_000

_COLUMNS = (EventRow.feed_id, EventRow.seq, EventRow.name, EventRow.at, EventRow.actor, EventRow.data)
_AFTER = (
    select(*_COLUMNS)
    .where(EventRow.feed_id == bindparam("feed"), EventRow.seq > bindparam("after"))
    .order_by(EventRow.seq)
    .limit(bindparam("most"))
)


@dataclass(frozen=True)
class StoredEvent:
    """An event. text: the JSON message as it was sent, byte for byte. seq: has no gaps within a feed."""

    feed_id: str
    seq: int
    name: str
    at: datetime
    actor: str
    text: str


def list_events(
    by: Caller,
    *,
    feed_id: str,
    after_seq: int = 0,
    type: str | None = None,  # noqa: A002 (as the query parameter is called)
    limit: int = PAGE,
    before_seq: int | None = None,
    actor: str | None = None,
    newest_first: bool = False,
) -> list[StoredEvent]:
    """The events of a feed after after_seq and before before_seq. type: only events of this name. actor: only of this
    one. None: no matter which.

    NotFound if the caller may not see the project. Everybody may read the feed PLATFORM, administrators alone
    ADMINISTRATION.
    """
    if feed_id not in visible_among(by, [feed_id]):
        raise NotFound(f"project {feed_id}")
    where = [EventRow.feed_id == feed_id, EventRow.seq > after_seq]
    if type is not None:
        where.append(EventRow.name == type)
    if actor is not None:
        where.append(EventRow.actor == actor)
    if before_seq is not None:
        where.append(EventRow.seq < before_seq)
    return _read(*where, limit=limit, newest_first=newest_first)


def task_events(
    by: Caller,
    task_id: str,
    *,
    after_seq: int = 0,
    limit: int = PAGE,
    before_seq: int | None = None,
    newest_first: bool = False,
) -> list[StoredEvent]:
    """A task's timeline after after_seq and before before_seq. NotFound if the caller may not see the task."""
    project_id = may_follow_task(by, task_id)
    mine = [EventRow.task_id == task_id, EventRow.feed_id == project_id, EventRow.seq > after_seq]
    if before_seq is not None:
        mine.append(EventRow.seq < before_seq)
    return _read(*mine, limit=limit, newest_first=newest_first)


def events_after(feed_id: str, after_seq: int, limit: int = PAGE) -> list[StoredEvent]:
    """The same as list_events, without access control: the caller has checked access before."""
    with snapshot() as read:
        rows = read.session.execute(_AFTER, {"feed": feed_id, "after": after_seq, "most": limit})
        return [StoredEvent(*row) for row in rows]


def feed_heads(feed_ids: Collection[str] | None) -> dict[str, int]:
    """Feed id → the seq of its newest event, for feeds that have events. feed_ids: None: all feeds."""
    query = select(Feed.id, Feed.seq)
    if feed_ids is not None:
        query = query.where(Feed.id.in_(feed_ids))
    with snapshot() as read:
        return {row.id: row.seq for row in read.session.execute(query)}


def visible_feeds(by: Caller) -> set[str] | None:
    """The feeds that the caller may follow; None: all feeds, including future ones."""
    if by.is_admin:
        return None
    with snapshot() as read:
        return {PLATFORM, *read.session.scalars(visible_projects(by))}


def visible_among(by: Caller, feed_ids: Collection[str]) -> set[str]:
    """Those of the feeds that exist and that the caller may follow."""
    others = {PLATFORM, ADMINISTRATION} if by.is_admin else {PLATFORM}
    projects = [feed_id for feed_id in feed_ids if feed_id not in {PLATFORM, ADMINISTRATION}]
    seen = others & set(feed_ids)
    if projects:
        with snapshot() as read:
            seen |= set(read.session.scalars(select(Project.id).where(Project.id.in_(projects), sees_project(by))))
    return seen


def may_follow_task(by: Caller, task_id: str) -> str:
    """The id of the task's project. NotFound if the caller may not see the task."""
    query = select(Task.project_id).join(Project, Project.id == Task.project_id)
    with snapshot() as read:
        project_id = read.session.execute(query.where(Task.id == task_id, sees_project(by))).scalar_one_or_none()
    if project_id is None:
        raise NotFound(f"task {task_id}")
    return project_id


def purge_events(older_than_days: float = KEPT_DAYS) -> int:
    """Delete events that are older, in short transactions, until `was_cut_short` is true of how many are deleted, which
    is returned. Safe to repeat at any time.

    An event gets its time a little before its seq, so times within a feed may be out of order. Everything up to the
    newest old event is deleted, because readers would take a gap in the stored events for a loss; and in whole ranges
    of the audit, because the rest of a range could not be checked any more.
    """
    with snapshot() as read:
        before = read.now() - timedelta(days=older_than_days)
        feed_ids = list(read.session.scalars(select(Feed.id)))
    purged = 0
    for feed_id in feed_ids:
        while not was_cut_short(purged) and (gone := _purge_oldest(feed_id, before)):
            purged += gone
    return purged


def purge_feed(feed_id: str, before: datetime) -> int:
    """As `purge_events`, for one feed, however many there are. before: aware UTC."""
    purged = 0
    while gone := _purge_oldest(feed_id, before):
        purged += gone
    return purged


@transactional
def _purge_oldest(tx: Transaction, feed_id: str, before: datetime) -> int:
    # Only the oldest ones are read: how long that takes does not depend on how many are kept.
    oldest = select(EventRow.seq, EventRow.at).where(EventRow.feed_id == feed_id).order_by(EventRow.seq)
    rows = tx.session.execute(oldest.limit(_PURGED_AT_ONCE)).all()
    last = audit.seal_purge(feed_id, max((seq for seq, at in rows if at < before), default=0))
    if not last:
        return 0
    return engines.rows_changed(tx.session, delete(EventRow).where(EventRow.feed_id == feed_id, EventRow.seq <= last))


def _read(*where: ColumnElement[bool], limit: int, newest_first: bool = False) -> list[StoredEvent]:
    query = select(*_COLUMNS).where(*where).order_by(EventRow.seq.desc() if newest_first else EventRow.seq).limit(limit)
    with snapshot() as read:
        return [StoredEvent(*row) for row in read.session.execute(query)]


__all__ = [
    "ADMINISTRATION",
    "PLATFORM",
    "StoredEvent",
    "events_after",
    "feed_heads",
    "list_events",
    "may_follow_task",
    "purge_events",
    "purge_feed",
    "task_events",
    "visible_among",
    "visible_feeds",
]
