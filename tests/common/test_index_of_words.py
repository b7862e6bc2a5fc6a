"""SQLite's index of the words of titles (migrations 0020 to 0038), as it grows."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

PAGE_BYTES = 64
"""Small, so that a few titles make an index of many pages."""
TITLES, WORDS = 1000, 8
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_no_new_task_waits_until_much_of_the_index_is_written_anew(sqlite_template: Path, tmp_path: Path) -> None:
    """Each title is a part of the index at first, and parts are joined: a few pages at a time."""
    words = random.Random(1)
    with (
        closing(sqlite3.connect(sqlite_template)) as template,
        closing(sqlite3.connect(tmp_path / "words.db", isolation_level=None)) as connection,
    ):
        template.backup(connection)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("INSERT INTO task_words (task_words, rank) VALUES ('pgsz', ?)", (PAGE_BYTES,))
        written, pages = [], _pages(connection)
        for number in range(1, TITLES + 1):
            title = " ".join("".join(words.choices(LETTERS, k=8)) for _ in range(WORDS))
            connection.execute("INSERT INTO task_words (rowid, title) VALUES (?, ?)", (number, title))
            before, pages = pages, _pages(connection)
            written.append(len(pages - before))
        parts = connection.execute("SELECT count(DISTINCT segid) FROM task_words_idx").fetchone()[0]
    assert parts < 100
    assert max(written) < len(pages) / 8


def _pages(connection: sqlite3.Connection) -> set[int]:
    """What the index's pages are called. A page that is written anew has a new name."""
    return {number for (number,) in connection.execute("SELECT id FROM task_words_data")}
