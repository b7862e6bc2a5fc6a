"""What every method of the client stands on: how it sends a request, and what it makes of an answer."""

from __future__ import annotations

import itertools
import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from web.client.transport import AiWorkerError, Transport, Unauthenticated, Unavailable


class Recording(ThreadingHTTPServer):
    """Answers every request with the same status, headers and body, and keeps what was asked.

    apart: by path, what is answered with another status and body.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status, self.headers, self.body = 200, {"Content-Type": "application/json"}, b"{}"
        self.apart: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str, str | None]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Recording

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        status, body = self.server.apart.get(self.path, (self.server.status, self.server.body))
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def recording() -> Iterator[Recording]:
    with Recording() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("status", [302, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_an_error_that_names_the_address(recording: Recording, method: str, status: int) -> None:
    recording.status, recording.body = status, b""
    recording.headers = {"Location": f"{recording.url}/elsewhere"}

    with Transport(recording.url, "aiw_any") as client, pytest.raises(AiWorkerError, match="/elsewhere") as refused:
        client._call(method, "/api/deployments/1/rollback")

    assert refused.value.status == status
    assert recording.asked == [(method, "/api/deployments/1/rollback", "Bearer aiw_any")]


def test_an_error_has_the_whole_reply(recording: Recording) -> None:
    health = {"status": "down", "services": {"mysql": "disconnected", "redis": "connected"}}
    recording.status, recording.body = 503, json.dumps(health).encode()

    with Transport(recording.url) as client, pytest.raises(Unavailable) as refused:
        client._call("GET", "/api/health")
    assert refused.value.reply == health
    assert str(refused.value) == "503 down"


LOGIN, REFRESH, PASSWORD, ME = "/api/auth/login", "/api/auth/refresh", "/api/auth/password", "/api/auth/me"
TOKENS = b'{"accessToken": "fresh", "refreshToken": "once more"}'


def test_a_login_outlives_a_renewal_that_the_platform_could_not_answer(recording: Recording) -> None:
    recording.apart = {LOGIN: (200, TOKENS), ME: (401, b"{}"), REFRESH: (503, b"{}")}
    client = Transport.with_password(recording.url, "admin", "secret")
    with pytest.raises(Unavailable):
        client._call("GET", ME)

    recording.apart[REFRESH] = (200, TOKENS)
    with pytest.raises(Unauthenticated):
        client._call("GET", ME)
    assert [path for _method, path, _token in recording.asked].count(REFRESH) == 2

    # The platform's own no is the end of it.
    recording.apart[REFRESH] = (401, b"{}")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            client._call("GET", ME)
    assert [path for _method, path, _token in recording.asked].count(REFRESH) == 3


def test_watching_catches_up_without_a_pause(recording: Recording) -> None:
    pages = {0: range(1, 501), 500: range(501, 1001), 1000: range(1001, 1002)}
    for after, seqs in pages.items():
        body = json.dumps({"events": [{"seq": seq} for seq in seqs]}).encode()
        recording.apart[f"/api/events?projectId=p&afterSeq={after}&limit=500"] = 200, body

    with Transport(recording.url, "aiw_any") as client:
        # A pause of this length is an OverflowError.
        seen = [event["seq"] for event in itertools.islice(client.watch("p", every_seconds=math.inf), 1001)]

    assert seen == list(range(1, 1002))
    assert len(recording.asked) == 3
