"""Finds tasks of all projects by the beginnings of words of their titles, through the database's text index.

The text to find is split at spaces. Each part has to be in the title: its words one after the other, the last one by its
beginning. A text that looks like the end of an id also finds the task whose id ends with it. Case does not matter.

Migration 0020 makes both indexes, and the database keeps them right: SQLite by triggers on `tasks`, MariaDB because the
indexed column is computed from the title and the id. Words of the caller reach an index only as letters and digits, so
no operator of its language does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, String, and_, column, literal_column, or_, select, table
from sqlalchemy.dialects.mysql import match

from common import database
from common.errors import Invalid
from common.models.task import Task
from common.services.paging import MOST_COUNTED, Order, Page, PageQuery, decode_cursor, encode_cursor
from common.transaction import Snapshot

MOST_WORDS = 20
"""Further words of a text are left out."""
WINDOW = 5_000
"""How many of the newest tasks are read on MariaDB before its text index is asked: see _MariaDb."""
COMMON_SHARE = 0.04
"""From this share of titles on, reading tasks until enough have the word costs less than its entries in the index."""
END_MARK = "\u0298"
"""Begins the word made of a task's id in MariaDB's index. A letter, so that it is part of the word, that nobody types."""

_END_OF_ID = re.compile(r"[0-9a-f]{4,12}")
_WORD = re.compile(r"[^\W_]+")

ORDER = Order(Task.created_at, Task.id, Task.project_id)


@dataclass(frozen=True)
class Wanted:
    """parts: the words of each part of a text, in lower case. id_end: what the task's id may end with instead; None:
    the text is no such end.
    """

    parts: tuple[tuple[str, ...], ...]
    id_end: str | None

    @classmethod
    def of(cls, text: str) -> Wanted:
        lower = text.lower()
        parts: list[tuple[str, ...]] = []
        for part in lower.split():
            words = tuple(_WORD.findall(part))[: MOST_WORDS - sum(map(len, parts))]
            if words:
                parts.append(words)
        return cls(tuple(parts), lower if _END_OF_ID.fullmatch(lower) else None)


def find_by_words(
    read: Snapshot, text: str, conditions: Sequence[ColumnElement[bool]], page: PageQuery, seen: Sequence[str] | None
) -> Page[Task]:
    """The tasks of the projects `seen` (None: of all) that the text finds, newest first; nothing if it has no words.

    conditions: what else has to hold for the row of Task.
    """
    wanted = Wanted.of(text)
    if not wanted.parts or seen == []:
        return Page((), 0, page.limit, page.offset, None)
    holds = [*conditions, *([] if seen is None else [Task.project_id.in_(seen)])]
    search = _Sqlite(read, wanted, holds) if database.is_sqlite() else _MariaDb(read, wanted, holds)
    offset = 0 if page.cursor is not None else page.offset
    found = search.newest(page, offset + page.limit + 1)[offset:]
    ids, more = [row_id for row_id, _cursor in found[: page.limit]], len(found) > page.limit
    rows = {task.id: task for task in read.session.scalars(select(Task).where(Task.id.in_(ids)))}
    items = [rows[row_id] for row_id in ids if row_id in rows]
    total, is_capped = offset + len(found), None
    if more or page.cursor is not None or (not found and offset):
        total, is_capped = search.count()
    return Page(items, total, page.limit, page.offset, found[page.limit - 1][1] if more else None, is_capped)


class _Sqlite:
    """FTS5 gives the rows of a match in the order of their numbers, which are those in which tasks were created, so a
    query ends with its page however common a word is.
    """

    _words = table("task_words", column("rowid"))
    _numbers = table("task_numbers", column("number"), column("task_id", String))

    def __init__(self, read: Snapshot, wanted: Wanted, holds: Sequence[ColumnElement[bool]]) -> None:
        self._session = read.session
        text = " AND ".join(f'title : "{" ".join(words)}" *' for words in wanted.parts)
        if wanted.id_end is not None:
            text = f'({text}) OR ends : "{wanted.id_end[::-1]}" *'
        self._query = (
            select(self._words.c.rowid, self._numbers.c.task_id)
            .join_from(self._words, self._numbers, self._numbers.c.number == self._words.c.rowid)
            .where(literal_column("task_words").op("MATCH")(text))
        )
        if holds:
            # As a condition, not as a join: the index of the words has to be read first, for its order.
            task = select(Task.id).where(Task.id == self._numbers.c.task_id, *holds)
            self._query = self._query.where(task.exists())

    def newest(self, page: PageQuery, most: int) -> list[tuple[str, str]]:
        """The ids with their cursors."""
        query = self._query.order_by(self._words.c.rowid.desc()).limit(most)
        if page.cursor is not None:
            query = query.where(self._words.c.rowid < _number(page.cursor))
        return [(task_id, _cursor_at(number)) for number, task_id in self._session.execute(query)]

    def count(self) -> tuple[int, bool | None]:
        return _counted(len(self._session.execute(self._query.limit(MOST_COUNTED + 1)).all()))


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _cursor_at(number: int) -> str:
    """A cursor has a time and an id. This one needs no time."""
    return encode_cursor(_EPOCH, str(number))


def _number(cursor: str) -> int:
    _at, number = decode_cursor(cursor)
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise Invalid("cursor", "Not a cursor of this list")
    return int(number)


class _MariaDb:
    """InnoDB's text index gives all rows of a match, about 5 µs each and in no order, which is too slow for words that
    many titles have. Those are found by reading the newest tasks; the index is asked for the others.
    """

    def __init__(self, read: Snapshot, wanted: Wanted, holds: Sequence[ColumnElement[bool]]) -> None:
        self._session = read.session
        stored: ColumnElement[Any] = literal_column("tasks.title_words", String)
        text = " ".join(f"+{word}*" for words in wanted.parts for word in words)
        patterns = [rf"\b{r'[^[:alnum:]]+'.join(words)}" for words in wanted.parts]
        reads = and_(*(stored.regexp_match(pattern) for pattern in patterns))
        if wanted.id_end is not None:
            mark = END_MARK + wanted.id_end[::-1]
            text = f"({text}) {mark}*"
            reads = or_(reads, stored.regexp_match(rf"\b{mark}"))
        self._reads = and_(reads, *holds)
        # The index knows no words shorter than three letters, and no order of words: the pattern decides about these.
        is_sure = all(len(words) == 1 for words in wanted.parts)
        indexed = match(stored, against=text, in_boolean_mode=True)
        self._indexed = and_(indexed, *holds) if is_sure else and_(indexed, self._reads)
        self._share = 0.0
        self._total: int | None = None

    def newest(self, page: PageQuery, most: int) -> list[tuple[str, str]]:
        """The ids with their cursors."""
        after = ORDER.after(page)
        rows = self._session.execute(self._newest_read(after)).all()
        self._share = len(rows) / WINDOW
        is_whole = self._session.execute(_newest().where(*after).offset(WINDOW).limit(1)).first() is None
        if is_whole and page.cursor is None:
            self._total = len(rows)
        if len(rows) < most and not is_whole:
            rows = self._session.execute(_newest().where(self._indexed, *after).limit(most)).all()
        return [(row_id, encode_cursor(at, row_id)) for at, row_id in rows[:most]]

    def count(self) -> tuple[int, bool | None]:
        if self._total is not None:
            return _counted(self._total)
        how = self._reads if self._share >= COMMON_SHARE else self._indexed
        if self._session.execute(_newest().where(how).offset(MOST_COUNTED).limit(1)).first() is not None:
            return MOST_COUNTED, True
        indexed = select(Task.id).where(self._indexed).limit(MOST_COUNTED + 1)
        return _counted(len(self._session.execute(indexed).all()))

    def _newest_read(self, after: Sequence[ColumnElement[bool]]) -> Select[Any]:
        """Those of the newest WINDOW tasks that are wanted."""
        newest = _newest().add_columns(self._reads.label("is_wanted")).where(*after).limit(WINDOW).subquery()
        return select(newest.c.created_at, newest.c.id).where(newest.c.is_wanted)


def _newest() -> Select[Any]:
    return cast("Select[Any]", select(Task.created_at, Task.id).order_by(*ORDER.newest_first))


def _counted(number: int) -> tuple[int, bool | None]:
    return (MOST_COUNTED, True) if number > MOST_COUNTED else (number, None)
