"""Pages of a list, newest first: by offset, or by a cursor, which stays fast for late pages.

Every query here reads an index in the order of the list and stops at the page's end, so a page costs the same in a
table of a thousand rows and of a million. That holds while the conditions of a query are equalities that come first in
an index, before the columns of the order. A condition on who may see what is no such thing: the caller resolves it into
project ids before (`access.projects_seen`), and `page_among` merges the lists of these projects.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from common.database import engines
from common.database.compiled_statements import AnyAttribute, Row, UnionStatement
from common.errors import Invalid
from common.models.project import Project
from common.transaction import Snapshot

M = TypeVar("M")
V = TypeVar("V")

DEFAULT_LIMIT = 50
MOST = 200
MOST_COUNTED = 10_000
"""Up to here the total over several projects is exact."""
MOST_MERGED = 1_000
"""Pages that begin later, by their offset, are sorted by the database instead of merged."""
MANY_PROJECTS = 10
"""Before so many projects are merged, the newest rows of all projects are looked through, LOOKED_THROUGH times as many
as are wanted: mostly enough for somebody who sees a good part of everything.
"""
LOOKED_THROUGH = 4
_MOST_PARTS = 400
"""SQLite takes at most 500 selects in one statement."""


@dataclass(frozen=True)
class PageQuery:
    """limit: 1 to 200. cursor: the nextCursor of a previous page; takes precedence over offset."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    cursor: str | None = None


@dataclass(frozen=True)
class Page(Generic[M]):
    """total: the number of all matching items, not only of this page. total_is_capped: True: there are more than
    `total`; None: it is exact. next_cursor: None on the last page.
    """

    items: Sequence[M]
    total: int
    limit: int
    offset: int
    next_cursor: str | None
    total_is_capped: bool | None = None

    def of(self, items: Sequence[V]) -> Page[V]:
        """The same page with other things in place of its items."""
        return Page(items, self.total, self.limit, self.offset, self.next_cursor, self.total_is_capped)


@dataclass(frozen=True)
class Order:
    """The columns of a list's order: the time, then the id. project: the column with the id of a row's project; None:
    the rows have none.
    """

    at: InstrumentedAttribute[datetime]
    key: InstrumentedAttribute[str]
    project: AnyAttribute | None = None

    @property
    def newest_first(self) -> tuple[ColumnElement[datetime], ColumnElement[str]]:
        return self.at.desc(), self.key.desc()

    def after(self, page: PageQuery) -> tuple[ColumnElement[bool], ...]:
        """The condition for the rows that follow the page's cursor; none without one."""
        if page.cursor is None:
            return ()
        before, before_id = decode_cursor(page.cursor)
        # Not written as (at, id) < (x, i), because MariaDB reads the whole index for row values.
        return (and_(self.at <= before, or_(self.at < before, self.key < before_id)),)


def page_of(
    read: Snapshot,
    query: Select[M],
    at: InstrumentedAttribute[datetime],
    key: InstrumentedAttribute[str],
    page: PageQuery,
    total: int | None = None,
    most_counted: int | None = None,
) -> Page[M]:
    """One page of `query`, ordered by `at`, then by `key`, both descending.

    total: if the caller has counted it. most_counted: count no further; None: the total is exact.
    """
    order = Order(at, key)
    ordered = query.order_by(*order.newest_first).limit(page.limit + 1).where(*order.after(page))
    offset = 0 if page.cursor is not None else page.offset
    rows = list(read.session.scalars(ordered.offset(offset) if offset else ordered))
    return _page(read, query, order, page, rows, total, most_counted)


def page_among(read: Snapshot, query: Select[M], order: Order, page: PageQuery, seen: Sequence[str] | None) -> Page[M]:
    """One page of `query`, newest first, of the projects `seen`; None: of all. The total is exact up to MOST_COUNTED.

    order.project is required. query: a select of one entity, without joins.
    """
    if seen is None:
        return page_of(read, query, order.at, order.key, page, most_counted=MOST_COUNTED)
    assert order.project is not None
    if len(seen) <= 1:
        only = query.where(order.project.in_(seen)) if not seen else query.where(order.project == seen[0])
        return page_of(read, only, order.at, order.key, page, most_counted=MOST_COUNTED)
    mine = query.where(order.project.in_(seen))
    offset = 0 if page.cursor is not None else page.offset
    if offset > MOST_MERGED:
        return page_of(read, mine, order.at, order.key, page, most_counted=MOST_COUNTED)
    ids = _merged(read, query, order, page, seen, offset + page.limit + 1)[offset:]
    found = {getattr(row, order.key.key): row for row in read.session.scalars(query.where(order.key.in_(ids)))}
    rows = [found[row_id] for row_id in ids if row_id in found]
    return _page(read, mine, order, page, rows, None, MOST_COUNTED)


def _merged(
    read: Snapshot, query: Select[M], order: Order, page: PageQuery, seen: Sequence[str], wanted: int
) -> list[str]:
    """The ids of the newest `wanted` rows of these projects, newest first.

    The index has the rows of each project in order. Of each the same share is read, of those all of whose rows are
    wanted four times as many, and so on. Of many projects, those with the newest rows are read alone.
    """
    assert order.project is not None
    if len(seen) >= MANY_PROJECTS and (found := _among_newest(read, query, order, page, seen, wanted)) is not None:
        return found
    if len(seen) > wanted:
        heads = sorted(((at, key, project_id) for project_id, at, key in _heads(read, query, order, page, seen)))
        seen = [project_id for _at, _key, project_id in heads[-wanted:]]
    share = 1 + 2 * wanted // max(1, len(seen))
    asked = dict.fromkeys(seen, share)
    rows: dict[str, list[tuple[datetime, str]]] = {}
    newest: list[tuple[datetime, str]] = []
    while asked:
        rows.update({project_id: [] for project_id in asked})
        for at, key, project_id in _newest_of_each(read, query, order, page, list(asked.items())):
            rows[project_id].append((at, key))
        newest = heapq.nlargest(wanted, itertools.chain.from_iterable(rows.values()))
        last = newest[-1] if len(newest) == wanted else None
        asked = {
            project_id: min(4 * most, wanted)
            for project_id, most in asked.items()
            if len(rows[project_id]) == most < wanted and (last is None or min(rows[project_id]) > last)
        }
    return [row_id for _at, row_id in newest]


def _among_newest(
    read: Snapshot, query: Select[M], order: Order, page: PageQuery, seen: Sequence[str], wanted: int
) -> list[str] | None:
    """As _merged, from the newest rows of all projects; None if too few of them are of these projects."""
    assert order.project is not None
    most = LOOKED_THROUGH * wanted
    newest = query.with_only_columns(order.key, order.project).where(*order.after(page))
    rows = read.session.execute(newest.order_by(*order.newest_first).limit(most)).all()
    among = set(seen)
    found = [row_id for row_id, project_id in rows if project_id in among][:wanted]
    return found if len(found) == wanted or len(rows) < most else None


def _heads(
    read: Snapshot, query: Select[M], order: Order, page: PageQuery, seen: Sequence[str]
) -> Iterable[tuple[str, datetime, str]]:
    """The newest row of each project that has one: project, time and id."""
    assert order.project is not None
    if not engines.is_sqlite():
        # With the project's id as a constant: in a subquery for each project, MariaDB sorts all of the project's rows.
        rows = _newest_of_each(read, query, order, page, [(project_id, 1) for project_id in seen])
        return [(row[2], row[0], row[1]) for row in rows]
    newest = query.where(order.project == Project.id, *order.after(page)).order_by(*order.newest_first)
    at, key = (
        newest.with_only_columns(column).limit(1).correlate(Project).scalar_subquery()
        for column in (order.at, order.key)
    )
    rows = read.session.execute(select(Project.id, at, key).where(Project.id.in_(seen)))
    return [(row[0], row[1], row[2]) for row in rows if row[2] is not None]


def _newest_of_each(
    read: Snapshot, query: Select[M], order: Order, page: PageQuery, parts: Sequence[tuple[str, int]]
) -> Iterator[Row]:
    """The time, the id and the project of the newest rows of projects. parts: each project, and how many rows."""
    assert order.project is not None
    newest = (
        query.with_only_columns(order.at, order.key, order.project)
        .where(order.project == bindparam("of_project"), *order.after(page))
        .order_by(*order.newest_first)
        .limit(bindparam("most"))
        .subquery()
    )
    union = UnionStatement(select(*newest.columns))
    for first in range(0, len(parts), _MOST_PARTS):
        each = [{"of_project": project_id, "most": most} for project_id, most in parts[first : first + _MOST_PARTS]]
        yield from union.rows(read.session.connection(), each)


def _page(
    read: Snapshot,
    query: Select[M],
    order: Order,
    page: PageQuery,
    rows: Sequence[M],
    total: int | None,
    most_counted: int | None,
) -> Page[M]:
    """rows: those of the page, and the one after it, if there is one."""
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    is_capped = None
    if total is None and not more and page.cursor is None and (rows or not page.offset):
        # Everything before this page was passed over, and nothing follows it.
        total = page.offset + len(rows)
    if total is None:
        total, is_capped = _count(read, query.order_by(None), order, most_counted)
    cursor = encode_cursor(getattr(rows[-1], order.at.key), getattr(rows[-1], order.key.key)) if more else None
    return Page(rows, total, page.limit, page.offset, cursor, is_capped)


def _count(read: Snapshot, query: Select[M], order: Order, most: int | None) -> tuple[int, bool | None]:
    """How many rows there are, and True if there are more. most: count no further; None: count all."""
    # Passing over index entries is what a count does, too, and needs no table of them in between, as LIMIT in a count.
    if (
        most is not None
        and read.session.execute(query.with_only_columns(order.key).offset(most).limit(1)).first() is not None
    ):
        return most, True
    if most is not None:
        counted = select(func.count()).select_from(query.with_only_columns(order.key).limit(most).subquery())
        return read.session.execute(counted).scalar_one(), None
    return read.session.execute(query.with_only_columns(func.count(order.key))).scalar_one(), None


def encode_cursor(at: datetime, key: str) -> str:
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()}|{key}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        at, _bar, key = text.partition("|")
        when = datetime.fromisoformat(at)
        if not key or when.tzinfo is None:
            raise ValueError(text)
        # As UTC, which the first and the last hours that can be written do not have.
        return when.astimezone(UTC), key
    except (ValueError, OverflowError, binascii.Error, UnicodeDecodeError) as error:
        raise Invalid("cursor", "Not a cursor of this list") from error
