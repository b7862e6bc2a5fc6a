"""The host of a run's databases: it ends with its servers, and says what is missing."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common.values.json_codec import Malformed, decode
from common.values.needs import Needs, ServiceKind
from common.values.service_variables import ServiceAddress, service_variables, with_service_variables
from common.values.variable_set import Variables
from tests.providers.runtime_contract import until
from tests.providers.runtime_supervisor import ROOT
from tests.workers.needs.clients import REDIS
from workers.needs.databases import Databases, clear, new_databases, root_of
from workers.needs.installed import Program, ServiceMissing, choose


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    yield new_databases((REDIS,), tmp_path, tmp_path / "report.json")
    clear(root_of(tmp_path))


def _start(databases: Databases) -> subprocess.Popen[bytes]:
    host = subprocess.Popen(databases.command, cwd=ROOT, stderr=subprocess.DEVNULL)
    until(databases.variables, what="the report")
    return host


def test_a_host_whose_server_dies_ends_and_leaves_nothing(databases: Databases) -> None:
    host = _start(databases)
    [server] = psutil.Process(host.pid).children()
    server.kill()

    assert host.wait(60) == 1
    assert not databases.place.exists()


def test_a_host_whose_report_is_removed_ends_its_server(databases: Databases) -> None:
    host = _start(databases)
    [server] = psutil.Process(host.pid).children()
    databases.report.unlink()

    assert host.wait(60) == 0
    assert not server.is_running()
    assert not databases.place.exists()


def test_a_servers_password_is_in_no_argument_and_no_open_file(databases: Databases) -> None:
    host = _start(databases)
    try:
        found = databases.variables()
        assert found is not None
        password = found.values["REDIS_PASSWORD"]
        [server] = psutil.Process(host.pid).children()

        assert password not in " ".join(server.cmdline())
        readable = [path for path in databases.place.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
        assert [path for path in readable if password in path.read_text(errors="replace")] == []
    finally:
        host.send_signal(signal.SIGTERM)
        host.wait(60)


def test_the_sql_service_that_is_alone_is_the_database_url() -> None:
    address = ServiceAddress("127.0.0.1", 1, "pw")
    both = service_variables({ServiceKind.MARIADB: address, ServiceKind.POSTGRESQL: address}).values
    alone = service_variables({ServiceKind.MARIADB: address, ServiceKind.REDIS: address}).values

    assert both["DATABASE_URL"] == both["POSTGRES_URL"] == "postgresql://app:pw@127.0.0.1:1/app"
    assert alone["DATABASE_URL"] == alone["MYSQL_URL"] == "mysql://app:pw@127.0.0.1:1/app"
    mine = with_service_variables(Variables({"DATABASE_URL": "mine"}, ("X",)), service_variables({}))
    assert mine == Variables({"DATABASE_URL": "mine"}, ("X",))


@pytest.mark.parametrize(
    "needs",
    [
        {"cache_paths": ["../up"]}, {"cache_paths": ["/etc"]}, {"cache_paths": [".git/hooks"]},
        {"services": [{"kind": "oracle"}]}, {"services": [{"kind": "redis", "version": "7; rm"}]},
        {"setup_command": ""},
    ],
)  # fmt: skip
def test_the_supervisor_reads_no_invalid_needs(needs: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        decode(Needs, needs)


def test_what_is_missing_is_said_with_the_remedy() -> None:
    with pytest.raises(ServiceMissing, match=r"PostgreSQL is not installed .* apt-get install postgresql"):
        choose("PostgreSQL", "postgresql", [], None)
    programs = [Program(Path("/a"), "15.6"), Program(Path("/b"), "16.2")]
    assert choose("PostgreSQL", "postgresql", programs, "16").path == Path("/b")
    with pytest.raises(ServiceMissing, match=r"PostgreSQL 17 is asked for, but 15\.6, 16\.2 is installed"):
        choose("PostgreSQL", "postgresql", programs, "17")
