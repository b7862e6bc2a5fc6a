"""The test run's own servers and databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pymysql
import pytest
import redis
import sqlalchemy

from tests.databases import ReusedDatabase
from tests.e2e.instance import wait_until
from tests.processes import is_running_process
from tests.servers import ROOT, MariaDB


def test_databases_of_one_server_are_strangers(mariadb: MariaDB) -> None:
    first, second = mariadb.new_database(), mariadb.new_database()

    assert first != second
    with mariadb.connect(_name(first)) as connection, connection.cursor() as cursor:
        cursor.execute("create table only_here (id int)")
    with (
        mariadb.connect(_name(second)) as connection,
        connection.cursor() as cursor,
        pytest.raises(pymysql.err.ProgrammingError, match="doesn't exist"),
    ):
        cursor.execute("select * from only_here")


def test_a_reused_database_keeps_the_rows_it_began_with_and_no_others(mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    with mariadb.connect(_name(url)) as connection, connection.cursor() as cursor:
        cursor.execute("create table parent (id int primary key, name varchar(9))")
        cursor.execute(
            "create table child (id int primary key, parent_id int, foreign key (parent_id) references parent (id))"
        )
        cursor.execute("insert into parent values (1, 'seed')")
        reused = ReusedDatabase(mariadb, url)
        cursor.execute("insert into parent values (2, 'test')")
        cursor.execute("insert into child values (1, 2)")
        cursor.execute("update parent set name = 'changed' where id = 1")

        reused.reset()

        cursor.execute("select * from parent")
        assert cursor.fetchall() == ((1, "seed"),)
        cursor.execute("select * from child")
        assert cursor.fetchall() == ()


def test_each_kind_of_database_has_the_newest_schema_and_no_projects(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.text("select count(*) from alembic_version")).scalar_one() == 1
        assert connection.execute(sqlalchemy.text("select count(*) from projects")).scalar_one() == 0
    engine.dispose()


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()


def test_the_shared_mariadb_ends_with_a_run_that_is_killed(mariadb: MariaDB) -> None:
    code = (
        "from tests.servers import run_folder, shared_mariadb\n"
        "with run_folder() as folder:\n"
        "    print(shared_mariadb(folder).port, folder, flush=True)\n"
        "    input()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        port, folder = run.stdout.readline().split()
        keeper = psutil.Process(run.pid).children()[0]
        server = keeper.children()[0]
        assert int(port) != mariadb.port

        os.kill(run.pid, signal.SIGKILL)

    wait_until(
        "MariaDB to end with the run that it was for",
        lambda: not is_running_process(server.pid) and not is_running_process(keeper.pid) and not Path(folder).exists(),
    )


def _name(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]
