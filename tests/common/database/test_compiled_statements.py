"""Statements that are compiled once: for lists of any length, for many rows, and where the database is out of reach."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Select, Update, case, select, update

from common.database.compiled_statements import ListStatement, Places
from common.models import Feed, Mark
from common.models.insertion import insert_values
from common.transaction import Transaction, snapshot, transactional


def _named(ids: Sequence[Places]) -> Select[str, int]:
    return select(Feed.id, Feed.seq).where(Feed.id.in_([one for (one,) in ids])).order_by(Feed.id)


def _renamed(names: Sequence[Places]) -> Update:
    new = case(*((Feed.id == old, new) for old, new in names))
    return update(Feed).where(Feed.id.in_([old for old, _new in names])).values(id=new)


NAMED = ListStatement(1, _named)
RENAMED = ListStatement(2, _renamed)


@transactional
def _feeds(tx: Transaction, count: int) -> list[str]:
    ids = [f"feed-{number}" for number in range(count)]
    insert_values(tx.connection, Feed, [{"id": feed_id} for feed_id in ids], seq=7)
    return ids


@transactional
def _read(tx: Transaction, ids: Sequence[str]) -> list[tuple[object, ...]]:
    return NAMED.rows(tx.session.connection(), [(one,) for one in ids])


@transactional
def _rename(tx: Transaction, names: Sequence[tuple[str, str]]) -> int:
    return RENAMED.run(tx.session.connection(), names)


@pytest.mark.usefixtures("on_database")
@pytest.mark.parametrize("asked", [1, 5])
def test_a_list_of_any_length_finds_each_of_its_rows_once(asked: int) -> None:
    ids = _feeds(9)

    assert _read(ids[:asked]) == [(one, 7) for one in ids[:asked]]


@pytest.mark.usefixtures("on_database")
def test_each_row_of_a_list_changes_its_own() -> None:
    ids, asked = _feeds(5), 3

    assert _rename([(one, f"{one}-new") for one in ids[:asked]]) == asked
    with snapshot() as read:
        kept = set(read.session.scalars(select(Feed.id)))
    assert kept == {f"{one}-new" for one in ids[:asked]} | set(ids[asked:])


@pytest.mark.parametrize("value", [[], {"a": []}, "", 0, False], ids=repr)
def test_a_json_value_comes_back_as_it_was(on_database: str, value: object) -> None:
    @transactional
    def put(tx: Transaction) -> None:
        tx.add(Mark(name="kept", at=tx.now(), value=value))

    put()
    with snapshot() as read:
        mark = read.get(Mark, "kept")
        assert mark is not None
        assert mark.value == value
        assert type(mark.value) is type(value)
