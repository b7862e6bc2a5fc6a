"""What a MariaDB or MySQL server refuses for a while is no bug: callers are told to ask again, and jobs wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymysql
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from common import database, mariadb_connection
from common.errors import Busy
from common.models.journal import Mark
from common.services.health import portable_rows
from common.services.jobs import set_mark
from common.transaction import Transaction, snapshot, transactional
from tests.patience import PATIENCE_SECONDS
from tests.providers.runtime_contract import until
from tests.servers import MariaDB, mariadb_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MariaDB]:
    """With the account `few`, which may have two connections."""
    first = tmp_path / "init.sql"
    statements = (
        "create user 'aiw'@'%' identified by 'pw'",
        "grant all on *.* to 'aiw'@'%'",
        "create user 'few'@'%' identified by 'pw' with max_user_connections 2",
        "grant select on *.* to 'few'@'%'",
    )
    first.write_text("".join(f"{statement};\n" for statement in statements))
    with mariadb_server(f"--init-file={first}") as running:
        yield running


@transactional
def _write(tx: Transaction) -> None:
    tx.now()


def test_an_account_without_a_free_connection_is_busy(use_database: Callable[[str], None], server: MariaDB) -> None:
    use_database(server.new_database().replace("aiw:pw", "few:pw"))
    held = [
        pymysql.connect(host="127.0.0.1", port=server.port, user="few", password="pw", ssl_disabled=True)
        for _ in range(2)
    ]

    with pytest.raises(Busy, match="can't be reached"), snapshot() as read:
        read.now()
    with pytest.raises(Busy, match="can't be reached"):
        _write()

    for connection in held:
        connection.close()


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
        assert is_over.wait(PATIENCE_SECONDS)
        assert tx.find(select(Mark).where(Mark.name == "kept")) is not None

    @transactional
    def write(tx: Transaction) -> None:
        set_mark(tx, "kept", {"by": "another"})

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        try:
            assert is_held.wait(PATIENCE_SECONDS)
            write()
        finally:
            is_over.set()
        held.result()

    with snapshot() as read:
        assert read.all(select(Mark.value).where(Mark.name == "kept")) == [{"by": "the one that stops"}]


@pytest.mark.slow
def test_a_backup_and_a_restore_over_a_slow_link_are_not_ended_by_limits(
    use_database: Callable[[str], None], mariadb_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb_connection, "MOST_IDLE_SECONDS", 1)
    of_server = "net_write_timeout=2, wait_timeout=2"
    begin = mariadb_connection.session_settings(database.ROW_WAIT_SECONDS)
    monkeypatch.setattr(mariadb_connection, "session_settings", lambda _seconds: f"{begin}, {of_server}")
    use_database(mariadb_database_url)
    names = [f"kept {number}" for number in range(5)]
    for name in names:
        transactional(set_mark)(name, {"large": "x" * (portable_rows.PART_BYTES + 1)})

    def slowly(parts: Iterable[portable_rows.TablePart]) -> Iterator[portable_rows.TablePart]:
        for number, part in enumerate(parts):
            yield part
            if number == 0:
                _have_the_limits_reached()

    with portable_rows.reading_at_one_moment(lambda: None) as parts_of:
        parts = [*slowly(parts_of("marks")), *parts_of("users")]
    assert portable_rows.put_rows(slowly(parts)) == sum(len(part.rows) for part in parts)
    with snapshot() as read:
        assert set(names) <= set(read.all(select(Mark.name)))


def _have_the_limits_reached() -> None:
    """Returns when connections that begin now have been ended by them: idle, idle in a transaction, and not read."""
    reads = database.engine(reads=True)
    with (
        reads.connect() as idle,
        database.engine().connect() as in_transaction,
        reads.connect() as not_read,
        reads.connect() as looking,
    ):
        twins = (idle, in_transaction, not_read)
        numbers = [one.execute(text("SELECT CONNECTION_ID() FROM alembic_version")).scalar_one() for one in twins]
        not_read.execution_options(yield_per=1).execute(select(Mark))
        looking.exec_driver_sql("SET wait_timeout=3600")
        its = text("SELECT COUNT(*) FROM information_schema.processlist WHERE id IN :ids").bindparams(ids=numbers)
        until(lambda: looking.execute(its).scalar_one() == 0, what="the end of the three")
        for one in (*twins, looking):
            one.invalidate()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1047, "can't be reached"), (1129, "can't be reached"), (1135, "can't be reached"),
        (1158, "can't be reached"), (1159, "can't be reached"), (1203, "can't be reached"),
        (3032, "can't be reached"), (1041, "busy for too long"), (1206, "busy for too long"),
        (1637, "busy for too long"), (3024, "busy for too long"),
    ],
)  # fmt: skip
def test_other_limits_of_a_server_are_busy(code: int, words: str) -> None:
    with pytest.raises(Busy, match=words):
        database.raise_busy(OperationalError("SELECT 1", {}, pymysql.err.OperationalError(code, "not now")))


def test_a_packet_that_is_too_large_is_a_bug() -> None:
    database.raise_busy(OperationalError("SELECT 1", {}, pymysql.err.OperationalError(1153, "packet too large")))
