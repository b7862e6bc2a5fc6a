"""Results of MariaDB are those of the driver, also when their columns are known already."""

from __future__ import annotations

from collections.abc import Iterator

import pymysql
import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from common.database import engines, mariadb_connection
from common.database.compiled_statements import Statement

NUMBER = Statement(lambda: select(func.connection_id()))

QUERIES = (
    "SELECT 1 AS a, 'x' AS b",
    "SELECT 1 AS a, 2 AS b",
    "SELECT NULL AS a, NOW(6) AS b, x'00ff' AS c, 1.50 AS d, DATE '2026-01-31' AS e, 'é' AS f",
    "SELECT " + ", ".join(f"{number} AS a_long_name_of_a_column_{number}" for number in range(190)),
    "SELECT 1 AS a WHERE FALSE",
    "SELECT seq, REPEAT('x', seq) AS text FROM seq_1_to_300",
)


@pytest.fixture
def _no_columns_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mariadb_connection, "_known", {})


@pytest.mark.usefixtures("_no_columns_known")
def test_known_columns_give_the_same_rows(use_database: object, mariadb_database_url: str) -> None:
    use_database(mariadb_database_url)  # type: ignore[operator]
    url = make_url(mariadb_database_url)
    plain = pymysql.connect(
        host=url.host or "", port=url.port or 0, user=url.username, password=url.password or "", database=url.database
    )
    with plain, engines.engine(reads=True).connect() as connection:
        for query in [*QUERIES, *reversed(QUERIES), *QUERIES]:
            with plain.cursor() as cursor:
                cursor.execute("SET timestamp = 1")
                cursor.execute(query)
                wanted, names = cursor.fetchall(), [column[0] for column in cursor.description or ()]
            connection.exec_driver_sql("SET timestamp = 1")
            found = connection.exec_driver_sql(query)
            assert (list(found.keys()), tuple(map(tuple, found.all()))) == (names, tuple(wanted))
    known = [received for list_ in mariadb_connection._known.values() for received, _columns in list_]
    assert len(known) == len(set(known)) >= 4, "each list of columns is kept once"


def test_a_kept_connection_that_the_server_closed_is_replaced(
    use_database: object, mariadb_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_database(mariadb_database_url)  # type: ignore[operator]
    with engines.engine().connect() as other:
        ((own,),) = NUMBER.read()
        assert NUMBER.read() == [(own,)], "it is kept"
        other.exec_driver_sql(f"KILL CONNECTION {own}")
        monkeypatch.setattr(engines, "UNCHECKED_SECONDS", 0.0)

        ((after,),) = NUMBER.read()

        assert after != own
        assert NUMBER.read() == [(after,)]


@pytest.fixture
def connection(use_database: object, mariadb_database_url: str) -> Iterator[Connection]:
    """For transactions; there is a table `t` of unique numbers."""
    use_database(mariadb_database_url)  # type: ignore[operator]
    with engines.engine().connect() as opened:
        opened.exec_driver_sql("CREATE TABLE t (n INT PRIMARY KEY)")
        yield opened
        opened.rollback()
        opened.exec_driver_sql("DROP TABLE t")


def _later(connection: Connection, statement: str, then: mariadb_connection.ResultCallback = None) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, mariadb_connection.PatientConnection)
    assert driver.query_with_next(statement, then)


def _numbers() -> list[int]:
    with engines.engine(reads=True).connect() as connection:
        return list(connection.exec_driver_sql("SELECT n FROM t ORDER BY n").scalars())


def test_what_is_sent_with_the_next_statement_comes_before_it(connection: Connection) -> None:
    found: list[object] = []
    _later(connection, "INSERT INTO t VALUES (LAST_INSERT_ID(1))", lambda rows, last_id: found.append((rows, last_id)))
    _later(connection, "SELECT n, 'x' FROM t", lambda rows, _id: found.append(rows))
    _later(connection, "INSERT INTO t VALUES (2), (3)")
    assert found == []

    assert connection.exec_driver_sql("SELECT n FROM t ORDER BY n").scalars().all() == [1, 2, 3]
    assert found == [((), 1), ((1, "x"),)]
    assert connection.exec_driver_sql("UPDATE t SET n = n + 10").rowcount == 3


def test_a_commit_comes_after_what_was_to_be_sent(connection: Connection) -> None:
    _later(connection, "INSERT INTO t VALUES (1)")
    connection.commit()

    assert _numbers() == [1]


@pytest.mark.parametrize("ends", ["SELECT 1", "COMMIT"])
def test_if_one_fails_the_next_statement_raises_its_error(connection: Connection, ends: str) -> None:
    told: list[object] = []
    connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    _later(connection, "SELECT n FROM t", lambda rows, _id: told.append(rows))
    _later(connection, "INSERT INTO t VALUES (1)")
    _later(connection, "INSERT INTO t VALUES (2)", lambda rows, _id: told.append(rows))

    act = connection.commit if ends == "COMMIT" else lambda: connection.exec_driver_sql(ends)
    with pytest.raises(IntegrityError, match="Duplicate"):
        act()
    connection.rollback()

    assert told == []
    assert connection.exec_driver_sql("SELECT 'all replies were read'").scalar_one() == "all replies were read"
    assert _numbers() == []


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK", "SELECT 'first'"])
def test_a_reply_that_was_not_waited_for_is_nobody_elses(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """A time limit may end a job after its statement was sent, and before its reply is read."""
    connection.commit()
    send = pymysql.connections.Connection._execute_command  # type: ignore[attr-defined]

    def send_and_interrupt(self: object, command: int, sql: str | bytes) -> None:
        send(self, command, sql)
        if sql in {ends, ends.encode()}:
            raise InterruptedError

    with engines.engine().connect() as first, monkeypatch.context() as patched:
        first.exec_driver_sql("INSERT INTO t VALUES (1)")
        end = {"COMMIT": first.commit, "ROLLBACK": first.rollback}.get(ends, lambda: first.exec_driver_sql(ends))
        patched.setattr(pymysql.connections.Connection, "_execute_command", send_and_interrupt)
        with pytest.raises(InterruptedError):
            end()
    with engines.engine().connect() as second:
        assert second.exec_driver_sql("SELECT 'second'").scalar_one() == "second"
