"""What the doctor finds of a MySQL or MariaDB server: on a real one, and on what another version says of itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest

from common.database import engines
from common.services.upkeep.database_examination import Facts, examine_database, judge
from common.settings import settings
from common.values.finding import Finding
from tests.conftest import leave_out
from tests.servers import MariaDB, NotInstalled, mariadb_server

Examine = Callable[[str], list[Finding]]
WHOLE = ("GRANT ALL PRIVILEGES ON *.* TO `aiw`@`%` IDENTIFIED BY PASSWORD '*D8'",)
GOOD = Facts(
    "shop",
    "utf8mb4",
    {
        "version": "11.8.3-MariaDB-0+deb13u1",
        "transaction_isolation": "READ-COMMITTED",
        "read_only": "OFF",
        "log_bin": "OFF",
        "character_set_client": "utf8mb4",
    },
    WHOLE,
    is_schema_there=True,
)


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Examine]:
    def look(url: str) -> list[Finding]:
        monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("AIWORKER_DATABASE_URL", url)
        # As the doctor does: without a key, the settings ask the database whether there was one.
        monkeypatch.setenv("AIWORKER_SECRET_KEY", "a secret key that only tests use, 32 characters and more")
        settings.cache_clear()
        return list(examine_database())

    yield look
    engines.dispose_engines()
    settings.cache_clear()


@pytest.fixture
def root(mariadb: MariaDB) -> Iterator[pymysql.cursors.Cursor]:
    """The server's administrator, whom it takes without a password: it keeps nothing that is worth one."""
    connected = pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", password="", autocommit=True)
    with connected, connected.cursor() as cursor:
        yield cursor


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.status, one.says) for one in findings if one.status != "ok"]


def says(findings: list[Finding]) -> str:
    return "\n".join(f"{one.status}: {one.says}" for one in findings)


def test_all_is_well_on_a_good_server(examine: Examine, mariadb_database_url: str) -> None:
    found = examine(mariadb_database_url)

    assert wrong(found) == []
    for words in ("ok: MariaDB ", "ok: its character set is utf8mb4", "read, write and alter", "are READ-COMMITTED"):
        assert words in says(found)
    assert "PASSWORD" not in says(found)


def test_privileges_that_lack_are_named(
    examine: Examine, mariadb_database_url: str, root: pymysql.cursors.Cursor
) -> None:
    parts = urlsplit(mariadb_database_url)
    name = parts.path.removeprefix("/")
    root.execute("create or replace user few@'%' identified by 'pw'")
    root.execute(f"grant select, insert, update on {name}.* to few")
    url = f"mysql+pymysql://few:pw@127.0.0.1:{parts.port}/{name}?charset=utf8mb4"

    assert wrong(examine(url)) == [
        ("fail", f"the account lacks DELETE (always needed); GRANT DELETE ON {name}.* TO it"),
        ("warn", "the account lacks CREATE, ALTER, DROP, INDEX, REFERENCES (needed by aiworker db upgrade); "
                 f"GRANT CREATE, ALTER, DROP, INDEX, REFERENCES ON {name}.* TO it"),
    ]  # fmt: skip

    root.execute(f"grant delete, create, alter, drop, index, references on {name}.* to few")
    assert wrong(examine(url)) == []
    root.execute("drop user few")


@pytest.mark.slow
def test_a_server_that_can_not_be_written_is_named(examine: Examine) -> None:
    options = ("--log-bin=log", "--binlog-format=STATEMENT", "--read-only=ON", "--version=10.5.29-MariaDB")
    try:
        with mariadb_server(*options) as server:
            # root may write all the same, so that there is a database to look at.
            connected = pymysql.connect(host="127.0.0.1", port=server.port, user="root", password="")
            with connected, connected.cursor() as cursor:
                cursor.execute("create database shop character set utf8mb4")
            found = wrong(examine(f"mysql+pymysql://aiw:pw@127.0.0.1:{server.port}/shop"))
            engines.dispose_engines()
    except NotInstalled as reason:
        leave_out(str(reason))

    assert [words.partition(";")[0] for _, words in found] == [
        "MariaDB 10.5.29-MariaDB is too old",
        "binlog_format=STATEMENT refuses every change under READ-COMMITTED",
        "the server is read-only: is it a replica? Set AIWORKER_DATABASE_URL to the primary, or read_only=OFF",
    ]
    assert {status for status, _ in found} == {"fail"}


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("5.7.44", "fail"),
        ("8.0.36", "ok"),
        ("8.4.3-cluster", "ok"),
        ("5.5.5-10.6.18-MariaDB", "ok"),
        ("10.5.9-MariaDB-log", "fail"),
        ("unheard of", "fail"),
    ],
)
def test_versions_are_told_apart(version: str, status: str) -> None:
    found = list(judge(dataclasses.replace(GOOD, variables=GOOD.variables | {"version": version})))

    assert found[0].status == status
    assert wrong(found[1:]) == []


@pytest.mark.parametrize(
    ("grants", "lacks"),
    [
        (WHOLE, False),
        (("GRANT USAGE ON *.* TO `aiw`@`%`", "GRANT ALL PRIVILEGES ON `shop`.* TO `aiw`@`%`"), False),
        (("GRANT ALL PRIVILEGES ON `sh%`.* TO `aiw`@`%`",), False),
        (("GRANT ALL PRIVILEGES ON `sho_`.* TO `aiw`@`%`",), False),
        ((r"GRANT ALL PRIVILEGES ON `sho\_`.* TO `aiw`@`%`",), True),
        (("GRANT ALL PRIVILEGES ON `other`.* TO `aiw`@`%`",), True),
        (("GRANT ALL PRIVILEGES ON `shop`.`tasks` TO `aiw`@`%`",), True),
    ],
)
def test_grants_hold_for_what_their_pattern_names(grants: tuple[str, ...], lacks: bool) -> None:
    found = wrong(list(judge(dataclasses.replace(GOOD, grants=grants))))

    assert bool(found) is lacks
