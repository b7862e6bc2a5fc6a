"""The preview of a restricted project on a port that everybody reaches: nobody gets in who was not sent by AiWorker."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, ProjectNamespace
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.runtime_contract import settled
from tests.providers.runtime_supervisor import RUN_WEB_APP, Repository, get, supervised

SPACE = ProjectNamespace("shop-0000beef", "project-1")
OPEN, GUARDED = App(SPACE, "task-0000cafe"), App(SPACE, "task-0000f00d", is_guarded=True)
OTHER = App(SPACE, "task-0000dada", is_guarded=True)

ECHO = """
import os, socket, threading

def serve(client):
    reader = client.makefile("rb")
    while line := reader.readline():
        head = line
        while (field := reader.readline()) not in (b"\\r\\n", b""):
            head += field
        lowered = head.lower()
        body = b""
        if b"\\r\\ncontent-length: " in lowered:
            body = reader.read(int(lowered.split(b"\\r\\ncontent-length: ")[1].split(b"\\r\\n")[0]))
        if b"transfer-encoding: chunked" in lowered:
            while size := int(reader.readline().split(b";")[0], 16):
                body += reader.read(size)
                reader.readline()
            reader.readline()
        if line.startswith(b"GET /socket"):
            client.sendall(b"HTTP/1.1 101 OK\\r\\nUpgrade: websocket\\r\\nConnection: upgrade\\r\\n\\r\\n")
            while said := reader.readline():
                client.sendall(b"heard " + said)
            break
        answer = head + b"\\r\\n" + body
        client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(answer), answer))
    client.close()

listening = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])))
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    # At a switch, no connection is closed for being idle because the test or the app has waited for the processor.
    patience = {"traffic.forward.IDLE_SECONDS": 60, "apps.DRAIN_SECONDS": 90}
    with supervised(tmp_path / "runtime", bind="0.0.0.0", constants=patience) as running:
        yield running.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def serve(runtime: ProcessRuntime, repository: Repository, app: App) -> str:
    """The address of an app that answers with what it is asked, as 127.0.0.1: its name does not matter."""
    version = repository.version("v1", repository.commit(app__py=ECHO), start_command=RUN_WEB_APP)
    url = runtime.ensure_app(app, version).url
    state = settled(runtime, app, "v1")
    assert state.reason is None, state.reason
    return url


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


def ask(url: str, path: str = "/", **headers: str) -> Answer:
    """One request over a connection of its own; no redirect is followed."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LONG_WAIT_SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def let_in(runtime: ProcessRuntime, app: App) -> str:
    """The cookie of a browser that came by AiWorker's page."""
    address = runtime.open_app(app)
    assert address is not None
    parts = urlsplit(address)
    answer = ask(address, f"{parts.path}?{parts.query}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    return str(answer.headers["Set-Cookie"]).split(";")[0]


def dial(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), parts.port or 0), timeout=LONG_WAIT_SECONDS)


def heard(client: socket.socket, until_said: bytes) -> bytes:
    said = b""
    while until_said not in said:
        chunk = client.recv(65536)
        assert chunk, said
        said += chunk
    return said


def rest(client: socket.socket) -> bytes:
    said = b""
    while chunk := client.recv(65536):
        said += chunk
    return said


def test_a_guarded_preview_answers_nobody_who_was_not_let_in(runtime: ProcessRuntime, repository: Repository) -> None:
    url = serve(runtime, repository, GUARDED)
    cookie = let_in(runtime, GUARDED)
    name = cookie.split("=")[0]

    for headers in ({}, {"Cookie": f"{name}=guess"}, {"Cookie": f"x={cookie.split('=')[1]}"}, {"Cookie": name}):
        answer = ask(url, **headers)
        assert answer.status == 401
        assert b"Open it from its task in AiWorker" in answer.body
    for path in ("/.aiworker/enter", "/.aiworker/enter?token=guess", "/.aiworker/enter?token="):
        assert ask(url, path).status == 401
    assert ask(url, Cookie=cookie).status == 200


@pytest.mark.slow
def test_an_address_lets_one_browser_in(runtime: ProcessRuntime, repository: Repository) -> None:
    url = serve(runtime, repository, GUARDED)
    address = urlsplit(str(runtime.open_app(GUARDED)))
    path = f"{address.path}?{address.query}"

    assert [ask(url, path).status for _ in range(2)] == [303, 401]


@pytest.mark.slow
def test_the_cookie_is_the_previews_own_and_works_in_a_frame(runtime: ProcessRuntime, repository: Repository) -> None:
    url = serve(runtime, repository, GUARDED)
    said = []
    for proto in ({}, {"X-Forwarded-Proto": "https"}):
        address = urlsplit(str(runtime.open_app(GUARDED)))
        said.append(str(ask(url, f"{address.path}?{address.query}", **proto).headers["Set-Cookie"]))

    assert all("Domain" not in one and "HttpOnly" in one and "Path=/" in one for one in said)
    assert said[0].endswith("SameSite=Lax")
    assert said[1].endswith("SameSite=None; Secure; Partitioned")


def test_the_cookie_of_one_preview_opens_no_other(runtime: ProcessRuntime, repository: Repository) -> None:
    serve(runtime, repository, GUARDED)
    other = serve(runtime, repository, OTHER)
    mine, its = let_in(runtime, GUARDED), let_in(runtime, OTHER)

    assert mine.split("=")[0] != its.split("=")[0]
    assert ask(other, Cookie=mine).status == 401
    assert ask(other, Cookie=f"{its.split('=')[0]}={mine.split('=')[1]}").status == 401
    assert ask(other, Cookie=f"{mine}; {its}").status == 200


@pytest.mark.slow
def test_no_apps_process_sees_a_cookie_of_a_gate(runtime: ProcessRuntime, repository: Repository) -> None:
    guarded = serve(runtime, repository, GUARDED)
    not_guarded = serve(runtime, repository, OPEN)
    cookie = let_in(runtime, GUARDED)
    value = cookie.split("=")[1].encode()

    for url in (guarded, not_guarded):
        with dial(url) as client:
            # On one connection, as a browser asks: each request loses it, whatever body the one before had.
            ways = [
                f"GET /1 HTTP/1.1\r\nHost: x\r\nCookie: a=1; {cookie}; b=2\r\n\r\n",
                f"POST /2 HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nContent-Length: 5\r\n\r\nhello",
                f"POST /3 HTTP/1.1\r\nHost: x\r\ncookie:{cookie}\r\nCookie: c=3\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
                f"GET /4 HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n",
            ]
            said = b""
            for number, request in enumerate(ways, 1):
                client.sendall(request.encode())
                said = heard(client, b"hello" if "POST" in request else b"Host: x\r\n")
                assert f" /{number} HTTP/1.1".encode() in said
                assert value not in said
                if number == 1:
                    assert b"Cookie: a=1; b=2\r\n" in said
                if number == 3:
                    assert b"Cookie: c=3\r\n" in said


@pytest.mark.slow
def test_each_request_of_a_connection_is_judged(runtime: ProcessRuntime, repository: Repository) -> None:
    url = serve(runtime, repository, GUARDED)
    cookie = let_in(runtime, GUARDED)
    with dial(url) as client:
        client.sendall(f"GET /mine HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        assert b"GET /mine" in heard(client, b"Host: x")
        client.sendall(b"GET /others HTTP/1.1\r\nHost: x\r\n\r\n")
        said = rest(client)

    assert said.startswith(b"HTTP/1.1 401")
    assert b"GET /others" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "second",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "X: y\r\n Content-Length: 5\r\n",
    ],
)
def test_a_request_with_two_meanings_reaches_nobody(
    runtime: ProcessRuntime, repository: Repository, second: str
) -> None:
    url = serve(runtime, repository, GUARDED)
    cookie = let_in(runtime, GUARDED)
    with dial(url) as client:
        client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n{second}\r\n".encode() + b"0\r\n\r\n")

        assert rest(client).startswith(b"HTTP/1.1 400")


@pytest.mark.slow
def test_a_websocket_goes_on_after_the_gate(runtime: ProcessRuntime, repository: Repository) -> None:
    url = serve(runtime, repository, GUARDED)
    cookie = let_in(runtime, GUARDED)
    host = urlsplit(url).netloc
    asked = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    upgrade = f"GET /socket HTTP/1.1\r\nHost: {host}\r\n{asked}"
    with dial(url) as client:
        client.sendall(f"{upgrade}Origin: http://{host}\r\nCookie: {cookie}\r\n\r\n".encode())
        assert heard(client, b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        for number in range(3):
            client.sendall(f"frame {number}\n".encode())
            assert heard(client, b"\n") == f"heard frame {number}\n".encode()
    with dial(url) as client:
        client.sendall(f"{upgrade}\r\n".encode())
        assert rest(client).startswith(b"HTTP/1.1 401")
    with dial(url) as client:
        # Another preview's page: a browser would send this one's cookie, as it is on the same host.
        client.sendall(f"{upgrade}Origin: http://{host}1\r\nCookie: {cookie}\r\n\r\n".encode())
        assert rest(client).startswith(b"HTTP/1.1 403")


@pytest.mark.slow
def test_a_guard_comes_and_goes_while_the_preview_runs(runtime: ProcessRuntime, repository: Repository) -> None:
    app = replace(GUARDED, is_guarded=False)
    version = repository.version("v1", repository.commit(app__py=ECHO), start_command=RUN_WEB_APP)
    url = runtime.ensure_app(app, version).url
    settled(runtime, app, "v1")
    assert runtime.open_app(app) is None
    with dial(url) as kept:
        kept.sendall(b"GET /before HTTP/1.1\r\nHost: x\r\n\r\n")
        heard(kept, b"Host: x")
        assert runtime.ensure_app(GUARDED, version).is_guarded
        kept.sendall(b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n")
        assert rest(kept).startswith(b"HTTP/1.1 401")
    assert get(url)[0] == 401
    assert not runtime.ensure_app(app, version).is_guarded
    assert get(url)[0] == 200
