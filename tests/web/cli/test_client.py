"""The command's calls when answers are lost or late: a POST is repeated with the key that it was first sent with."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.web.cli.test_main import aiworker
from web.cli import client, waiting
from web.cli.api_error import ApiError
from web.cli.client import Api

Answer = tuple[int, bytes] | tuple[int, bytes, str] | None
"""Status, body, and Location if there is one."""


class Flaky(ThreadingHTTPServer):
    """Gives the answers it was told, one a request; None: it hangs up without one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, str | None]] = []
        self.authorizations: list[str | None] = []
        self.retry_after = "0"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Flaky

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, self.headers.get("Idempotency-Key")))
        self.server.authorizations.append(self.headers.get("Authorization"))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer[0])
        self.send_header("Retry-After", self.server.retry_after)
        if len(answer) == 3:
            self.send_header("Location", answer[2])
        self.send_header("Content-Length", str(len(answer[1])))
        self.end_headers()
        self.wfile.write(answer[1])

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    monkeypatch.setattr(client, "LOST_SECONDS", 0.0)
    with Flaky() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def api(flaky: Flaky) -> Iterator[Api]:
    with Api(f"http://127.0.0.1:{flaky.server_port}", "awt_any") as made:
        yield made


def test_a_post_is_repeated_with_the_same_key(flaky: Flaky, api: Api) -> None:
    flaky.answers = [None, (503, b'{"error":"Service unavailable"}'), (201, b'{"task":1}')]

    assert api.call("POST", "/tasks", {"title": "x"}) == {"task": 1}

    keys = [key for _method, _path, key in flaky.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0]


def test_it_gives_up_and_says_what_the_platform_said(flaky: Flaky, api: Api) -> None:
    unknown = b'{"error":"Service unavailable","details":{"field":"commit","message":"may have been made"}}'
    flaky.answers = [(503, unknown)] * client.TRIES

    with pytest.raises(ApiError, match="503 commit: may have been made"):
        api.call("POST", "/tasks", {})

    assert len(flaky.asked) == client.TRIES


@pytest.mark.parametrize(("method", "path"), [("POST", "/tokens"), ("POST", "/users/1/tokens"), ("DELETE", "/tasks/1")])
def test_what_takes_no_key_is_sent_once(flaky: Flaky, api: Api, method: str, path: str) -> None:
    flaky.answers = [None]

    with pytest.raises(ApiError, match="can't be reached"):
        api.call(method, path)

    assert flaky.asked == [(method, f"/api{path}", None)]


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://login.test/ask?back=1", r"answers from https://login.test/ask\?back=1; use that address"),
        ("/app/api/tasks/1", r"answers from http://127.0.0.1:\d+/app; use that address"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_no_success(flaky: Flaky, api: Api, method: str, location: str, told: str) -> None:
    flaky.answers = [(301, b"", location)]

    with pytest.raises(ApiError, match=told):
        api.call(method, "/tasks/1")

    assert len(flaky.asked) == 1


def test_waiting_outlasts_a_restart_of_the_platform(flaky: Flaky, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.0)
    away = (502, b"<html>Bad gateway</html>")
    flaky.answers = [None, None, away, (200, b'{"project":{"status":"active"}}')]
    begun = {"project": {"id": "1", "status": "provisioning"}}

    assert waiting.wait_for_project(api, begun) == {"project": {"status": "active"}}

    assert flaky.asked == [("GET", "/api/projects/1", None)] * 4
    # What the platform says itself is final.
    flaky.answers = [(404, b'{"error":"Not found"}')]
    with pytest.raises(ApiError, match="404 Not found"):
        waiting.wait_for_project(api, begun)


@pytest.mark.usefixtures("ada")
def test_a_token_of_this_platform_is_made_for_its_own_addresses_alone(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is behind another address could do anything with it for as long as the command takes."""
    port, look_up = address.rpartition(":")[2], socket.getaddrinfo

    def find(host: str, *arguments: Any, **options: Any) -> list[Any]:
        return look_up("127.0.0.1" if "example" in host else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", find)
    theirs = f"http://ours.example.org:{port}"
    for own in ({}, {"AIWORKER_PUBLIC_URL": "https://ours.example"}, {"AIWORKER_ALLOWED_HOSTS": "*, .ours.example"}):
        said = aiworker("--url", theirs, "whoami", code=1, **own)
        assert said == f"aiworker: you are not logged in to {theirs}; run: aiworker login {theirs}"

    # The server, which was started without these names, refuses what reaches it.
    for own in ({"AIWORKER_PUBLIC_URL": "https://ours.example"}, {"AIWORKER_ALLOWED_HOSTS": "ours.example"}):
        assert " 421 " in aiworker("--url", f"http://OURS.example:{port}", "whoami", code=1, **own)
    for host in ("localhost", "127.0.0.1"):
        assert aiworker("--url", f"http://{host}:{port}", "whoami").startswith("ada (admin) at ")
