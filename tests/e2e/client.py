"""A client that knows the contract only: REST with a token, and a listener that keeps every event it is sent."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.long_waits import LONG_WAIT_SECONDS

Json = Any

TRIES = 4
"""Of a read that is answered with 503: on a busy machine git can take longer than the 5 s of an answer."""


def read_when_told(send: Callable[[], requests.Response]) -> requests.Response:
    """The reply to a read, which is sent again when a busy server says so."""
    reply = send()
    for _ in range(TRIES - 1):
        if reply.status_code != 503:
            break
        time.sleep(int(reply.headers["Retry-After"]))
        reply = send()
    return reply


class Client:
    """token: a login's access token or an API token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def login(cls, url: str, username: str, password: str) -> Client:
        reply = requests.post(
            f"{url}/api/auth/login", json={"username": username, "password": password}, timeout=LONG_WAIT_SECONDS
        )
        assert reply.status_code == 200, reply.text
        return cls(url, reply.json()["accessToken"])

    def api_token(self) -> str:
        """A token that outlives the login."""
        return str(self.post("/tokens", {"name": "story", "role": "admin"}, 201)["token"]["token"])

    def get(self, path: str, status: int = 200) -> Json:
        return self._call("GET", path, None, status)

    def post(self, path: str, body: Json = None, status: int = 200) -> Json:
        return self._call("POST", path, body if body is not None else {}, status)

    def patch(self, path: str, body: Json, status: int = 200) -> Json:
        return self._call("PATCH", path, body, status)

    def delete(self, path: str, status: int) -> Json:
        return self._call("DELETE", path, None, status)

    def _call(self, method: str, path: str, body: Json, status: int) -> Json:
        def send() -> requests.Response:
            return self._session.request(method, f"{self.url}/api{path}", json=body, timeout=LONG_WAIT_SECONDS)

        reply = send() if method != "GET" or status == 503 else read_when_told(send)
        assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def close(self) -> None:
        self._session.close()


class Listener:
    """Follows one project from its first event. Durable events are checked to come without gap and in order."""

    def __init__(self, url: str, token: str, project_id: str) -> None:
        self.events: list[Json] = []
        self._changed = threading.Condition()
        self._problem: str | None = None
        self._open = contextlib.ExitStack()
        self._socket = self._open.enter_context(
            connect(url.replace("http", "ws", 1) + "/ws", max_size=2**22, open_timeout=LONG_WAIT_SECONDS)
        )
        self._send("auth", {"token": token})
        self._send("subscribe", {"projectId": project_id, "afterSeq": 0})
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, what: str, match: Callable[[Json], bool], seconds: float = LONG_WAIT_SECONDS) -> Json:
        """The first event, past or to come, that matches."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: self._problem or next((event for event in self.events if match(event)), None), seconds
            )
        assert self._problem is None, self._problem
        seen = [(event["event"], event["data"]) for event in self.events[-8:]]
        assert found, f"waited {seconds:.0f} s for {what}; the last events: {seen}"
        return found

    def wait_state(self, task_id: str, state: str, *, after: int = 0, seconds: float = LONG_WAIT_SECONDS) -> Json:
        """The task's change to a state, with a seq higher than `after`."""
        return self.wait(
            f"the task to become {state}",
            lambda event: (
                event["event"] == "task:status_changed"
                and event["data"]["taskId"] == task_id
                and event["data"]["newState"] == state
                and event["seq"] > after
            ),
            seconds,
        )

    def names(self) -> set[str]:
        return {event["event"] for event in self.events}

    def close(self) -> None:
        self._open.close()
        self._thread.join(10)

    def _send(self, event: str, body: Json) -> None:
        self._socket.send(json.dumps({"event": event, "data": body}))

    def _read(self) -> None:
        try:
            for text in self._socket:
                self._take(json.loads(text))
        except ConnectionClosed:
            return

    def _take(self, event: Json) -> None:
        with self._changed:
            if "seq" in event:
                durable = [known["seq"] for known in self.events if "seq" in known]
                if event["seq"] != (durable[-1] if durable else 0) + 1:
                    self._problem = f"seq {event['seq']} came after {durable[-1:]}"
            self.events.append(event)
            self._changed.notify_all()
