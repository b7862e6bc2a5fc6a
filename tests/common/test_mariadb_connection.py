"""Results of MariaDB are those of the driver, also when their columns are known already."""

from __future__ import annotations

import pymysql
import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from common import database, mariadb_connection
from common.statements import Statement

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
    with plain, database.engine(reads=True).connect() as connection:
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


def test_an_error_and_the_results_after_it_are_read(use_database: object, mariadb_database_url: str) -> None:
    use_database(mariadb_database_url)  # type: ignore[operator]
    with database.engine(reads=True).connect() as connection:
        for _ in range(3):
            with pytest.raises(database.DBAPIError):
                connection.exec_driver_sql("SELECT nothing FROM nowhere")
            assert connection.exec_driver_sql("SELECT 1 AS a, 'x' AS b").all() == [(1, "x")]


def test_a_kept_connection_that_the_server_closed_is_replaced(
    use_database: object, mariadb_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_database(mariadb_database_url)  # type: ignore[operator]
    with database.engine().connect() as other:
        ((own,),) = NUMBER.read()
        assert NUMBER.read() == [(own,)], "it is kept"
        other.exec_driver_sql(f"KILL CONNECTION {own}")
        monkeypatch.setattr(database, "UNCHECKED_SECONDS", 0.0)

        ((after,),) = NUMBER.read()

        assert after != own
        assert NUMBER.read() == [(after,)]
