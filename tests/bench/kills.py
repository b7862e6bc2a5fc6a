"""Measures how soon a job goes on whose worker is killed: `kill -9` of a worker of `aiworker up` amid the import of a
repository whose server does not answer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import Engine, create_engine, text

from common.jobs import LEASE_SECONDS, PROVISION_PROJECT
from tests.bench.figures import Figure, Found, Missing
from tests.bench.schedule import DURABLE
from tests.databases import sqlite_url
from tests.e2e.client import Client
from tests.e2e.instance import Instance, running, wait_until
from tests.servers import NotInstalled, mariadb_server


class Silent:
    """A server of repositories: the first connection for each gets no answer, later ones a 404 at once."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: set[str] = set()
        """The repositories that were asked for, by their paths."""
        self._kept: list[socket.socket] = []
        self.again: dict[str, datetime] = {}
        """When a repository was asked for the second time, by its path."""
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                path = connection.recv(4096).split(b" ")[1].decode().split(".git")[0].lstrip("/")
                if path not in self.asked:
                    self.asked.add(path)
                    self._kept.append(connection)
                    continue
                self.again.setdefault(path, datetime.now(UTC))
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                connection.close()

    def close(self) -> None:
        self._listener.close()
        for connection in self._kept:
            connection.close()


def _worker(instance: Instance, address: str) -> psutil.Process:
    """The process, started by the launcher, whose git talks to the server."""
    launcher, *family = instance.family()
    (git, *_others) = (each for each in family if any(address in word for word in each.cmdline()))
    return next(each for each in [git, *git.parents()] if each.ppid() == launcher.pid)


def _lease_end(engine: Engine, project_id: str) -> datetime:
    asked = text("SELECT lease_until FROM jobs WHERE kind = :kind AND subject_id = :id")
    with engine.connect() as connection:
        found = connection.execute(asked, {"kind": PROVISION_PROJECT.name, "id": project_id}).scalar_one()
    return datetime.fromisoformat(str(found)).replace(tzinfo=UTC)


def _killed(instance: Instance, people: Client, engine: Engine, server: Silent, name: str) -> tuple[float, float]:
    """Kills the worker that imports a new project. Seconds from the kill, and from its lease's end, to the next try."""
    body = {"name": name, "importUrl": f"http://{server.address}/{name}.git"}
    project_id = people.post("/projects", body, 201)["project"]["id"]
    wait_until("the import to wait for its server", lambda: name in server.asked)
    worker = _worker(instance, server.address)
    at = datetime.now(UTC)
    os.kill(worker.pid, signal.SIGKILL)
    ends = _lease_end(engine, project_id)
    wait_until("the import to go on", lambda: name in server.again, 4 * LEASE_SECONDS)
    return (server.again[name] - at).total_seconds(), (server.again[name] - ends).total_seconds()


def _of_database(database: str, url: str, folder: Path, times: int) -> Iterator[Found]:
    server, engine = Silent(), create_engine(url)
    settings = {"AIWORKER_AGENTS": "0", "AIWORKER_DATABASE_URL": url, "AIWORKER_IMPORT_ALLOW": server.address}
    try:
        with running(folder, **settings) as instance:
            people = Client.login(instance.url, "admin", instance.password)
            rounds = [_killed(instance, people, engine, server, f"killed-{number}") for number in range(times)]
            people.close()
    finally:
        server.close()
        engine.dispose()
    after_kill, after_lease = ([each[at] for each in rounds] for at in range(2))
    what = f"Worker killed, {database}: its job goes on after the end of its lease"
    yield Figure(what, after_lease, "s", goal="≤ 1", note=f"most {max(after_lease):.2f} s of {times}")
    yield Figure(
        f"Worker killed, {database}: its job goes on after the kill", after_kill, "s", goal=f"≤ {LEASE_SECONDS + 1}",
        note=f"most {max(after_kill):.1f} s",
    )  # fmt: skip


def figures(times: int = 5) -> Iterator[Found]:
    """Each figure with its name. times: how many workers are killed on each database, one after the other."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
        path = Path(folder)
        yield from _of_database("SQLite", sqlite_url(path / "aiworker.db"), path, times)
    try:
        with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder, mariadb_server(*DURABLE) as server:
            yield from _of_database("MariaDB", server.new_database(), Path(folder), times)
    except NotInstalled as reason:
        yield Missing("Worker killed, MariaDB", str(reason))
