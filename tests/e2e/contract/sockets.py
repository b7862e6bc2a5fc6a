"""A WebSocket client that keeps all it is sent, message by message."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.long_waits import LONG_WAIT_SECONDS

Json = Any


class Socket:
    """seen: every message so far, oldest first."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[Json] = []

    def say(self, event: str, **body: Json) -> None:
        self.connection.send(json.dumps({"event": event, "data": body}))

    def hear(self, seconds: float = LONG_WAIT_SECONDS) -> Json:
        message = json.loads(self.connection.recv(timeout=seconds))
        self.seen.append(message)
        return message

    def wait(
        self, event: str, match: Callable[[Json], bool] = lambda data: True, seconds: float = LONG_WAIT_SECONDS
    ) -> Json:
        """The first message, past or to come, of that name whose data match."""
        for message in self.seen:
            if message["event"] == event and match(message["data"]):
                return message
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                message = self.hear(max(0.1, deadline - time.monotonic()))
            except TimeoutError:
                break
            if message["event"] == event and match(message["data"]):
                return message
        raise AssertionError(f"no {event} came in {seconds:.0f} s, but {self.seen[-10:]}")

    def authenticate(self, token: str | None) -> Socket:
        self.say("auth", token=token)
        assert self.hear()["event"] == "auth:ok", self.seen
        return self

    def subscribe(self, project_id: str, **more: Json) -> Json:
        self.say("subscribe", projectId=project_id, **more)
        return self.wait("subscribed", lambda data: data.get("projectId") == project_id)

    def close_code(self, seconds: float = LONG_WAIT_SECONDS) -> int | None:
        """Read until the server closes; its code."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                self.hear(max(0.1, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
        except TimeoutError:
            pass
        raise AssertionError(f"the server kept the socket open for {seconds:.0f} s: {self.seen[-5:]}")

    def of(self, *names: str) -> list[Json]:
        return [message for message in self.seen if message["event"] in names]

    def durable(self) -> list[Json]:
        return [message for message in self.seen if "seq" in message]


@contextmanager
def opened(url: str, path: str = "/") -> Iterator[Socket]:
    with connect(url.replace("http", "ws", 1) + path, max_size=2**22, open_timeout=LONG_WAIT_SECONDS) as connection:
        yield Socket(connection)
