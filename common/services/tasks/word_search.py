"""Finds tasks of all projects by the beginnings of words of their titles, through the database's text index.

The text to find is split at spaces. Each part has to be in the title: its words one after the other, the last one by
its beginning. A text that looks like the end of an id also finds the task whose id ends with it. Case does not matter.

Migrations 0020 and 0037 make the indexes, and the database keeps them right: SQLite by triggers on `tasks`, MariaDB
because the indexed column is computed from the title and the id. Words of the caller reach an index only as letters,
digits and combining marks, so no operator of its language does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase
from typing import cast

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Select,
    String,
    TableClause,
    and_,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    text,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.dialects.mysql import match

from common.database import engines
from common.database.compiled_statements import AnySelect
from common.errors import Invalid
from common.machine.text import lower_letters
from common.models.task import Task
from common.services.requests.paging import MOST_COUNTED, Order, Page, PageQuery, decode_cursor, encode_cursor
from common.transaction import Snapshot

MOST_WORDS = 20
"""Further words of a text are left out."""
MOST_NAMED = 8
"""So many words with the beginning that is looked for are named to SQLite's index."""
MOST_PROJECTS = 200
"""So many projects are looked for in SQLite's index; of more, each task that was found is looked at."""
SAMPLE, WINDOW = 4_000, 20_000
"""How many of the newest titles are read on MariaDB before its text index is asked: some, which tell how common a word
is, and more if there may be enough in them. See _MariaDb.
"""
COMMON_SHARE = 0.025
"""From this share of titles on, reading titles until enough have the word costs less than its rows in the index."""
WORD_MARK, END_MARK = "\u0298\u0298", "\u0298i"
"""Begin the words in MariaDB's text index: those of titles, and the end of the id, backwards. So each has the three
letters without which that index leaves it out.
"""

_END_OF_ID = re.compile(r"[0-9a-f]{4,12}")
_WORD = re.compile(r"[^\W_]+")
# Some of these marks are part of a word for FTS5, which breaks what is asked at the others as it does titles.
_WORD_OF_SQLITE = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_LOWER_ASCII = str.maketrans(ascii_uppercase, ascii_lowercase)

ORDER = Order(Task.created_at, Task.id, Task.project_id)


@dataclass(frozen=True)
class WordQuery:
    """parts: the words of each part of a text, in lower case; for SQLite their letters of ASCII alone, as FTS5 has its
    own way with others. id_end: what the task's id may end with instead; None: the text is no such end.
    """

    parts: tuple[tuple[str, ...], ...]
    id_end: str | None

    @classmethod
    def of(cls, text: str) -> WordQuery:
        is_sqlite = engines.is_sqlite()
        lower = text.translate(_LOWER_ASCII) if is_sqlite else lower_letters(text)
        word = _WORD_OF_SQLITE if is_sqlite else _WORD
        parts: list[tuple[str, ...]] = []
        for part in lower.split():
            words = tuple(word.findall(part))[: MOST_WORDS - sum(map(len, parts))]
            if words:
                parts.append(words)
        return cls(tuple(parts), lower if _END_OF_ID.fullmatch(lower) else None)


def find_by_words(
    read: Snapshot, text: str, conditions: Sequence[ColumnElement[bool]], page: PageQuery, seen: Sequence[str] | None
) -> Page[Task]:
    """The tasks of the projects `seen` (None: of all) that the text finds, newest first; nothing if it has no words.

    conditions: what else has to hold for the row of Task.
    """
    wanted = WordQuery.of(text)
    if not wanted.parts or seen == []:
        return Page((), 0, page.limit, page.offset, None)
    search = (_Sqlite if engines.is_sqlite() else _MariaDb)(read, wanted, conditions, seen)
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

    It takes in 64 new tasks at once. Those that wait are put into a temporary index for the query, which FTS5 makes of
    the same words.
    """

    _numbers = table("task_numbers", column("number"), column("task_id", String))

    def __init__(
        self, read: Snapshot, wanted: WordQuery, holds: Sequence[ColumnElement[bool]], seen: Sequence[str] | None
    ) -> None:
        self._session = read.session
        self._ids = "" if wanted.id_end is None else f'ends : "{wanted.id_end[::-1]}" *'
        self._projects = ""
        if seen is not None and len(seen) <= MOST_PROJECTS:
            self._projects = " OR ".join(project_id.replace("-", "") for project_id in seen)
        elif seen is not None:
            holds = [*holds, Task.project_id.in_(seen)]
        self._holds = holds
        newest = self._session.scalar(_NEWEST_INDEXED)
        # Before the index is asked: what it takes in meanwhile is found among these, and only there.
        self._session.execute(HOLD_WAITING)
        self._session.execute(_FORGET_WAITING)
        self._session.execute(_TAKE_WAITING, {"newest": newest})
        self._waiting = self._query(_WAITING, [_beginning(words) for words in wanted.parts])
        self._indexed = self._query(_INDEXED, [self._begins(words) for words in wanted.parts])
        self._indexed = self._indexed.where(_INDEXED.c.rowid <= newest)

    def _query(self, words: TableClause, parts: Sequence[str]) -> Select[tuple[int]]:
        asked = " AND ".join(f"title : {part}" for part in parts)
        if self._ids:
            asked = f"({asked}) OR {self._ids}"
        if self._projects:
            asked = f"({asked}) AND project : ({self._projects})"
        query = select(words.c.rowid).where(literal_column(words.name).op("MATCH")(asked))
        if self._holds:
            # As a condition, not as a join: the index of the words has to be read first, for its order.
            numbered = self._numbers.c.number == words.c.rowid
            task = select(Task.id).join_from(self._numbers, Task, Task.id == self._numbers.c.task_id)
            query = query.where(task.where(numbered, *self._holds).exists())
        return query

    def _begins(self, words: tuple[str, ...]) -> str:
        """The words one after the other, the last one by its beginning.

        Of a beginning, FTS5 joins the rows of all words that have it before it gives the first one. Of whole words it
        does not, so a few are named: a word that all of a million titles have then takes 1 ms instead of 80.
        """
        *before, last = words
        known = self._words_with(last)
        if not known:
            return _beginning(words)
        phrases = [f'"{" ".join([*before, word])}"' for word in known]
        return f"({' OR '.join(phrases)})"

    def _words_with(self, beginning: str) -> list[str]:
        """The words in the index with this beginning; none if there are too many to name, or if it may fold letters
        otherwise than Python.
        """
        if not beginning.isascii():
            return []
        # Of this connection alone, and nothing is stored in it.
        self._session.execute(LIST_WORDS)
        found: list[str] = []
        least = beginning
        while (word := self._session.scalar(_FIRST_WORD, {"least": least})) and word.startswith(beginning):
            found.append(word)
            if len(found) > MOST_NAMED:
                return []
            # The rows of the index are by word: this skips all others of the word that was found.
            least = f"{word}\x01"
        return found

    def newest(self, page: PageQuery, most: int) -> list[tuple[str, str]]:
        """The ids with their cursors."""
        before = None if page.cursor is None else _number(page.cursor)
        numbers = self._newest_of(self._waiting, _WAITING, before, most)
        numbers += self._newest_of(self._indexed, _INDEXED, before, most - len(numbers))
        known = select(self._numbers.c.number, self._numbers.c.task_id).where(self._numbers.c.number.in_(numbers))
        ids = {row[0]: row[1] for row in self._session.execute(known)}
        return [(ids[number], _cursor_at(number)) for number in numbers if number in ids]

    def _newest_of(
        self, query: Select[tuple[int]], words: TableClause, before: int | None, most: int
    ) -> list[int]:  # fmt: skip
        if before is not None:
            query = query.where(words.c.rowid < before)
        return list(self._session.scalars(query.order_by(words.c.rowid.desc()).limit(most))) if most else []

    def count(self) -> tuple[int, bool | None]:
        waiting = len(self._session.execute(self._waiting).all())
        if self._session.execute(self._indexed.offset(max(MOST_COUNTED - waiting, 0)).limit(1)).first() is not None:
            return MOST_COUNTED, True
        return _counted(waiting + len(self._session.execute(self._indexed).all()))


def _beginning(words: tuple[str, ...]) -> str:
    return f'"{" ".join(words)}" *'


_INDEXED = table("task_words", column("rowid"))
_WAITING = table("task_words_waiting", column("rowid"))
_NEWEST_INDEXED = text("SELECT number FROM task_words_newest")
HOLD_WAITING = text(
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.task_words_waiting USING fts5(title, ends, project, content='', "
    "tokenize='unicode61 remove_diacritics 0')"
)
"""Makes the index of the tasks that wait for theirs, which a connection to SQLite has for itself."""
_FORGET_WAITING = text("INSERT INTO temp.task_words_waiting (task_words_waiting) VALUES ('delete-all')")
_END = " || ".join(f"substr(tasks.id, -{digit}, 1)" for digit in range(1, 13))
_TAKE_WAITING = text(
    "INSERT INTO temp.task_words_waiting (rowid, title, ends, project) "  # noqa: S608
    f"SELECT number, title, {_END}, replace(project_id, '-', '') "
    "FROM task_numbers JOIN tasks ON tasks.id = task_numbers.task_id WHERE number > :newest ORDER BY number"
)
LIST_WORDS = text("CREATE VIRTUAL TABLE IF NOT EXISTS temp.task_terms USING fts5vocab(main, task_words, instance)")
"""Makes the list of the words in the index, which a connection to SQLite has for itself."""
_FIRST_WORD = text("SELECT term FROM temp.task_terms WHERE term >= :least LIMIT 1")
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
    """InnoDB's text index gives all rows of a match, some 2 to 5 µs each and in no order: too slow for words that many
    titles have. Those are found by reading titles, newest first, in an index that holds them (0.2 µs each); the text
    index is asked for the others.
    """

    def __init__(
        self, read: Snapshot, wanted: WordQuery, holds: Sequence[ColumnElement[bool]], seen: Sequence[str] | None
    ) -> None:
        self._session = read.session
        holds = [*holds, *([] if seen is None else [Task.project_id.in_(seen)])]
        stored: ColumnElement[str] = literal_column("tasks.title_words", String)
        parts = [[WORD_MARK + word for word in words] for words in wanted.parts]
        text = " ".join(f"+{word}*" for words in parts for word in words)
        reads = and_(*(_has(stored, " ".join(words)) for words in parts))
        if wanted.id_end is not None:
            end = END_MARK + wanted.id_end[::-1]
            text = f"({text}) {end}*"
            reads = or_(reads, _has(stored, end))
        indexed = match(stored, against=text, in_boolean_mode=True)
        # The index knows no order of words: reading decides about those that have to follow each other.
        is_sure = all(len(words) == 1 for words in parts)
        self._indexed = and_(indexed, *holds) if is_sure else and_(indexed, reads, *holds)
        self._reads = and_(reads, *holds)

    def newest(self, page: PageQuery, most: int) -> list[tuple[str, str]]:
        """The ids with their cursors."""
        after = ORDER.after(page)
        rows = self._nearest(after, most)
        if rows is None:
            found = self._session.execute(_newest().where(self._indexed, *after).limit(most))
            rows = [(at, row_id) for at, row_id in found]
        return [(row_id, encode_cursor(at, row_id)) for at, row_id in rows]

    def _nearest(self, after: Sequence[ColumnElement[bool]], most: int) -> list[tuple[datetime, str]] | None:
        """The times and ids of the first tasks that have the words; None if not so many are among the next titles."""
        for size in (SAMPLE, WINDOW):
            in_window, is_all = self._window(after, size)
            rows = self._session.execute(_reading().where(self._reads, *after, *in_window).limit(most)).all()
            if len(rows) == most or is_all:
                return [(at, row_id) for at, row_id in rows]
            if len(rows) * WINDOW < most * size:
                break
        return None

    def count(self) -> tuple[int, bool | None]:
        in_window, is_all = self._window((), SAMPLE)
        near = _reading().with_only_columns(func.count(Task.id)).order_by(None).where(self._reads, *in_window)
        found = self._session.execute(near).scalar_one()
        if is_all:
            return _counted(found)
        if found >= SAMPLE * COMMON_SHARE:
            beyond = _reading().where(self._reads).order_by(None).offset(MOST_COUNTED).limit(1)
            if self._session.execute(beyond).first() is not None:
                return MOST_COUNTED, True
        # In whatever order: else all that the index finds would be sorted first.
        some = _newest().where(self._indexed).order_by(None).limit(MOST_COUNTED + 1).subquery()
        return _counted(self._session.execute(select(func.count()).select_from(some)).scalar_one())

    def _window(self, after: Sequence[ColumnElement[bool]], size: int) -> tuple[Sequence[ColumnElement[bool]], bool]:
        """The condition for so many of the newest tasks, and whether these are all."""
        passed = self._session.execute(_newest().where(*after).offset(size).limit(1)).first()
        return ((), True) if passed is None else ((Task.created_at >= passed[0],), False)


def _has(stored: ColumnElement[str], words: str) -> ColumnElement[bool]:
    """Whether a word begins like this. Bytes are compared in half of the time that LIKE takes."""
    return func.instr(cast_to(stored, LargeBinary), f" {words}") > 0


def _reading() -> AnySelect:
    """The newest tasks, for conditions on their titles."""
    return _newest().with_hint(Task, "FORCE INDEX (ix_tasks_created_words)")


def _newest() -> AnySelect:
    return cast("AnySelect", select(Task.created_at, Task.id).order_by(*ORDER.newest_first))


def _counted(number: int) -> tuple[int, bool | None]:
    return (MOST_COUNTED, True) if number > MOST_COUNTED else (number, None)
