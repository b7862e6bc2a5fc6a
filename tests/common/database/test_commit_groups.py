"""Transactions that SQLite commits together: each is kept or undone as if it were alone."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from common.database import commit_groups, engines
from common.errors import Busy, NotFound
from common.events.catalogue import TaskCreated
from common.models import EventRow
from common.transaction import Transaction, snapshot, transactional
from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS

Start = Callable[[Callable[[], object]], "Future[object]"]


@pytest.fixture
def start(
    use_database: Callable[[str], None], sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Runs functions in threads. The first transaction is not committed before `_commit`."""
    use_database(sqlite_database_url)
    monkeypatch.setattr(commit_groups, "QUIET_YIELDS", 10**12)
    with ThreadPoolExecutor(8) as threads:
        yield threads.submit
        commit_groups.QUIET_YIELDS = 0


def _commit() -> None:
    commit_groups.QUIET_YIELDS = 0


@transactional
def _record(tx: Transaction, name: str, act: Callable[[Transaction], object] = lambda _tx: None) -> str:
    tx.record(TaskCreated(feed="p", task_id=name, project_id="p", title=name))
    act(tx)
    return name


def _names() -> list[tuple[int, str | None]]:
    with snapshot() as read:
        query = select(EventRow.seq, EventRow.data).where(EventRow.feed_id == "p").order_by(EventRow.seq)
        return [(seq, name) for seq, data in read.session.execute(query) for name in "abc" if f'"{name}"' in data]


def _size() -> int:
    group = commit_groups._joinable
    return 0 if group is None else group._size


def _first(start: Start) -> Future[object]:
    first = start(lambda: _record("a"))
    wait_until("the first transaction is done", lambda: _size() == 1)
    return first


def test_what_comes_meanwhile_is_committed_with_the_first(start: Start) -> None:
    first = _first(start)
    others = []
    for number, name in enumerate("bc", start=2):
        others.append(start(lambda name=name: _record(name)))  # type: ignore[misc]
        wait_until(f"transaction {number} is done", lambda number=number: _size() == number)  # type: ignore[misc]

    assert _names() == [], "nothing can be seen before the commit"
    assert not any(one.done() for one in [first, *others]), "nobody hears of a result before the commit"
    _commit()

    assert [one.result(LONG_WAIT_SECONDS) for one in [first, *others]] == ["a", "b", "c"]
    assert _names() == [(1, "a"), (2, "b"), (3, "c")]


def test_one_that_raises_undoes_its_own_writes_alone(start: Start) -> None:
    first = _first(start)

    def fail(tx: Transaction) -> None:
        tx.outbox.write()
        raise NotFound("no")

    failing = start(lambda: _record("b", fail))
    wait_until("the second is done", lambda: _size() == 2)
    third = start(lambda: _record("c"))
    wait_until("the third is done", lambda: _size() == 3)
    assert not failing.done(), "its error may come from what is not committed yet"
    _commit()

    assert (first.result(LONG_WAIT_SECONDS), third.result(LONG_WAIT_SECONDS)) == ("a", "c")
    with pytest.raises(NotFound):
        failing.result(LONG_WAIT_SECONDS)
    assert _names() == [(1, "a"), (2, "c")]


def test_if_sqlite_ends_the_transaction_nobody_hears_of_success(start: Start) -> None:
    """As SQLite does when its disk is full."""
    first = _first(start)

    def lose(tx: Transaction) -> None:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute("ROLLBACK")
        raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    second = start(lambda: _record("b", lose))

    for one in (first, second):
        with pytest.raises(engines.DiskFull):
            one.result(LONG_WAIT_SECONDS)
    assert _names() == []
    _commit()
    assert _record("c") == "c"
    assert _names() == [(1, "c")]


def test_who_finds_a_group_full_writes_after_it(
    use_database: Callable[[str], None], sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They must not wait for SQLite's lock, which the group has, while they hold the one that it needs to commit."""
    use_database(sqlite_database_url)
    monkeypatch.setattr(commit_groups, "MOST", 3)
    names = [f"task {number}" for number in range(60)]
    with ThreadPoolExecutor(len(names)) as threads:
        together = threading.Barrier(len(names))

        def write(name: str) -> str:
            together.wait()
            return _record(name)

        assert list(threads.map(write, names)) == names


def test_the_end_of_one_jobs_time_is_not_the_others(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_connection: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(engines, "commit", interrupted)
    first = _first(start)
    second = start(lambda: _record("b"))
    wait_until("the second transaction is done", lambda: _size() == 2)
    _commit()

    with pytest.raises(SoftTimeLimitExceeded):
        first.result(LONG_WAIT_SECONDS)
    with pytest.raises(Busy, match="interrupted"):
        second.result(LONG_WAIT_SECONDS)
