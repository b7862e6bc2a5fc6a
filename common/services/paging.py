"""Pages of a list, newest first: by offset, or by a cursor, which stays fast for late pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from common.errors import Invalid
from common.transaction import Snapshot

M = TypeVar("M")

DEFAULT_LIMIT = 50
MOST = 200


@dataclass(frozen=True)
class PageQuery:
    """limit: 1 to 200. cursor: the nextCursor of a previous page; takes precedence over offset."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    cursor: str | None = None


@dataclass(frozen=True)
class Page(Generic[M]):
    """total: the number of all matching items, not only of this page. next_cursor: None on the last page."""

    items: Sequence[M]
    total: int
    limit: int
    offset: int
    next_cursor: str | None


def page_of(
    read: Snapshot,
    query: Select[M],
    at: InstrumentedAttribute[datetime],
    key: InstrumentedAttribute[str],
    page: PageQuery,
    total: int | None = None,
) -> Page[M]:
    """One page of `query`, ordered by `at`, then by `key`, both descending. total: if the caller has counted it."""
    if total is None:
        total = read.session.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()
    ordered = query.order_by(at.desc(), key.desc()).limit(page.limit + 1)
    if page.cursor is not None:
        before, before_id = decode_cursor(page.cursor)
        # Not written as (at, id) < (x, i), because MariaDB reads the whole index for row values.
        ordered = ordered.where(and_(at <= before, or_(at < before, key < before_id)))
    else:
        ordered = ordered.offset(page.offset)
    rows = list(read.session.scalars(ordered))
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    cursor = encode_cursor(getattr(rows[-1], at.key), getattr(rows[-1], key.key)) if more else None
    return Page(rows, total, page.limit, page.offset, cursor)


def encode_cursor(at: datetime, key: str) -> str:
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()}|{key}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        at, _bar, key = text.partition("|")
        when = datetime.fromisoformat(at)
        if not key or when.tzinfo is None:
            raise ValueError(text)
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise Invalid("cursor", "Not a cursor of this list") from error
    return when, key
