"""`aiworker watch`: how it connects."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from common.values.states import Role
from tests import builders
from tests.long_waits import LONG_WAIT_SECONDS
from tests.tls import make_certificate, tls_in_front_of
from tests.web.cli.test_main import aiworker
from tests.web.factories import a_project, a_task
from tests.web.world import served

pytestmark = pytest.mark.usefixtures("plain_app")


def _first_event(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is shown of tasks that are made until something is."""
    monkeypatch.setenv("AIWORKER_TOKEN", builders.a_token(builders.a_user("ada", Role.ADMIN)))
    project = a_project()
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(aiworker, "--url", url, "watch", "--count", "1")
        deadline = time.monotonic() + LONG_WAIT_SECONDS
        while not shown.done() and time.monotonic() < deadline:
            a_task(project, "Add a cart")
            wait([shown], timeout=0.2)
    return shown.result()


@pytest.mark.usefixtures("no_named_certificates")
def test_an_authority_of_ones_own_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_certificate(tmp_path, "localhost")
    with served() as url, tls_in_front_of(int(url.rpartition(":")[2]), paths) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(paths.certificate))
        assert "task:created" in _first_event(f"https://localhost:{port}", monkeypatch)


@dataclass
class Proxy:
    """seen: the places that were asked for, each with the login."""

    url: str
    seen: list[tuple[str, str]]


@contextlib.contextmanager
def proxy_to(port: int, *, answer: str = "HTTP/1.1 200 Connection established") -> Iterator[Proxy]:
    """A proxy that lets everybody through to this port of 127.0.0.1, whatever they ask for."""
    seen = list[tuple[str, str]]()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            place = self.rfile.readline().decode().split()[1]
            head = dict(line.decode().strip().split(": ", 1) for line in iter(self.rfile.readline, b"\r\n"))
            seen.append((place, head.get("Proxy-Authorization", "")))
            self.wfile.write(f"{answer}\r\n\r\n".encode())
            if " 200 " not in answer:
                return
            with socket.create_connection(("127.0.0.1", port)) as inner:
                back = threading.Thread(target=pass_on, args=(inner, self.connection))
                back.start()
                pass_on(self.connection, inner)
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield Proxy(f"http://ada:se%20cret@127.0.0.1:{server.server_address[1]}", seen)
        server.shutdown()


def pass_on(reader: socket.socket, writer: socket.socket) -> None:
    """Pass on all that comes until one side has ended, and end both then."""
    with contextlib.suppress(OSError):
        while content := reader.recv(65536):
            writer.sendall(content)
    for one in (reader, writer):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.mark.usefixtures("no_named_certificates")
def test_events_come_through_the_proxy_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A name that the platform takes for its own, and the command for another machine's.
    paths = make_certificate(tmp_path, "platform.localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(paths.certificate))
    with served() as url, tls_in_front_of(int(url.rpartition(":")[2]), paths) as port, proxy_to(port) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)

        assert "task:created" in _first_event("https://platform.localhost:8443", monkeypatch)

    login = f"Basic {b64encode(b'ada:se cret').decode()}"
    # That of the requests, and that of the WebSocket.
    assert set(proxy.seen) == {("platform.localhost:8443", login)}
    assert len(proxy.seen) >= 2


def test_a_token_that_is_refused_is_named_by_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as url:
        assert aiworker("--url", url, "--token", "aiw_wrong", "watch", code=1).endswith("; check --token")
        monkeypatch.setenv("AIWORKER_TOKEN", "aiw_wrong")
        assert aiworker("--url", url, "watch", code=1).endswith("; check AIWORKER_TOKEN")
