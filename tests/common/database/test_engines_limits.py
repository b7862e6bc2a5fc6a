"""What a MariaDB or MySQL server refuses for a while is no bug: callers are told to ask again, and jobs wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from common.database import mariadb_connection
from common.errors import Busy
from common.models.journal import Mark
from common.services.activity.jobs import set_mark
from common.transaction import Transaction, snapshot, transactional
from tests.long_waits import LONG_WAIT_SECONDS


def test_a_statement_that_the_server_ends_is_busy(
    use_database: Callable[[str], None], mariadb_database_url: str
) -> None:
    use_database(mariadb_database_url)
    with pytest.raises(Busy, match="busy for too long"), snapshot() as read:
        read.session.execute(text("SET STATEMENT max_statement_time = 0.01 FOR SELECT SLEEP(60)"))


def test_a_transaction_that_goes_on_with_nothing_holds_nobody_up_for_long(
    use_database: Callable[[str], None], mariadb_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like one of a process that is stopped, or whose machine is gone. A process that goes on runs it again."""
    monkeypatch.setattr(mariadb_connection, "MOST_IDLE_SECONDS", 1)
    use_database(mariadb_database_url)
    is_held, is_over = threading.Event(), threading.Event()

    @transactional
    def hold(tx: Transaction) -> None:
        set_mark(tx, "kept", {"by": "the one that stops"})
        is_held.set()
        assert is_over.wait(LONG_WAIT_SECONDS)
        assert tx.find(select(Mark).where(Mark.name == "kept")) is not None

    @transactional
    def write(tx: Transaction) -> None:
        set_mark(tx, "kept", {"by": "another"})

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        try:
            assert is_held.wait(LONG_WAIT_SECONDS)
            write()
        finally:
            is_over.set()
        held.result()

    with snapshot() as read:
        assert read.all(select(Mark.value).where(Mark.name == "kept")) == [{"by": "the one that stops"}]
