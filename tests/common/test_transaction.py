"""What a transaction promises: all of it is kept or nothing, one commit for what joins it, locks in one order."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, select

from common.database import engines
from common.errors import Busy, NotFound
from common.events.catalogue import TaskCreated
from common.jobs import catalogue
from common.models import ApiToken, Base, EventRow, Feed, Job, Project, Task, User, is_word_index
from common.transaction import Transaction, snapshot, transactional
from tests.builders import a_user


@transactional
def _record(tx: Transaction, feed: str, name: str) -> str:
    tx.record(TaskCreated(feed=feed, task_id=name, project_id=feed, title=name))
    return tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def _events(feed: str) -> list[EventRow]:
    with snapshot() as read:
        return list(read.all(select(EventRow).where(EventRow.feed_id == feed).order_by(EventRow.seq)))


def test_the_migrations_make_what_the_models_say(on_database: str) -> None:
    with engines.engine().connect() as connection:
        compared = {"include_name": lambda name, _type, _parents: not is_word_index(name)}
        differences = compare_metadata(MigrationContext.configure(connection, opts=compared), Base.metadata)
    # MariaDB has no JSON type of its own, and every foreign key makes an index there.
    assert [row for row in differences if row[0] not in {"remove_index"}] == []


def test_what_raises_leaves_nothing(on_database: str) -> None:
    @transactional
    def fail(tx: Transaction) -> None:
        _record("p", "inner")
        tx.session.flush()
        raise NotFound("no")

    with pytest.raises(NotFound):
        fail()
    assert _events("p") == []
    with snapshot() as read:
        assert read.session.execute(select(func.count()).select_from(Job)).scalar_one() == 0


def test_an_inner_function_joins_the_open_transaction(on_database: str) -> None:
    @transactional
    def outer(tx: Transaction) -> None:
        _record("p", "one")
        _record("p", "two")
        with snapshot() as read:
            assert read.find(select(Feed)) is None, "feeds are raised at commit"

    outer()
    assert [row.seq for row in _events("p")] == [1, 2]


def test_what_another_transaction_deleted_since_it_was_looked_for_is_missing(
    use_database: object, mariadb_database_url: str
) -> None:
    """Not on SQLite, where one transaction at a time writes."""
    use_database(mariadb_database_url)  # type: ignore[operator]
    bob, mia = a_user("bob"), a_user("mia")

    @transactional
    def add_token(tx: Transaction) -> None:
        found = tx.get(User, bob.id)
        pool.submit(delete_bob).result()
        tx.add(
            ApiToken(
                user_id=found.id, name="x", role=1, digest="d", created_at=tx.now(), expires_at=tx.now()
            )
        )  # fmt: skip

    @transactional
    def delete_bob(tx: Transaction) -> None:
        tx.session.execute(delete(User).where(User.id == bob.id))

    with ThreadPoolExecutor(1) as pool, pytest.raises(NotFound):
        add_token()

    with snapshot() as read:
        assert [user.id for user in read.all(select(User))] == [mia.id]


def test_locks_out_of_order_are_a_bug(on_database: str) -> None:
    @transactional
    def wrong(tx: Transaction) -> None:
        tx.lock_all(Task, ["t"])
        tx.lock_all(Project, ["p"])

    with pytest.raises(RuntimeError, match="higher lock_rank"):
        wrong()


def test_another_process_holding_sqlite_is_waited_for(
    use_database: object, sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_database(sqlite_database_url)  # type: ignore[operator]
    monkeypatch.setattr(engines, "WRITE_WAIT_SECONDS", 0.2)
    monkeypatch.setattr("common.transaction.TRIES", 1)
    path = sqlite_database_url.removeprefix("sqlite:///")
    holder = (
        "import sqlite3, sys\n"
        f"connection = sqlite3.connect({path!r}, isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Busy):
            _record("p", "x")
        process.communicate("")
    assert _record("p", "x")
