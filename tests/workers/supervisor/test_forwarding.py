"""What passes between a client and an app through the app's public port."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from tests.providers.runtime_contract import until
from workers.supervisor.forward import IDLE_SECONDS, Forwarder
from workers.supervisor.gate import Gate
from workers.supervisor.units import Streams

ANSWER = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
CHANGED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
PART = b"x" * 2**20


DOWNLOAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (32 * len(PART))
FEW_BYTES = 16 * 1024


class App:
    """Refuses the first upload before its body is there, as a server does that bounds what it takes."""

    def __init__(self) -> None:
        self.sent_at = time.monotonic()
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _address = self._listening.accept()
        with self._listening, client:
            client.recv(4096)
            client.sendall(ANSWER)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass

    async def connect(self, *, limit: int) -> Streams:
        return await asyncio.open_connection(*self._listening.getsockname(), limit=limit)


class Library(App):
    """Sends a download, and keeps the connection for the next request."""

    def _serve(self) -> None:
        client, _address = self._listening.accept()
        with self._listening, client:
            client.recv(4096)
            client.sendall(DOWNLOAD)
            for _ in range(32 * len(PART) // FEW_BYTES):
                client.sendall(PART[:FEW_BYTES])
                self.sent_at = time.monotonic()
            client.recv(4096)


class Chat(App):
    """Takes up another protocol, in which it repeats what it hears. Sends its answer in these parts, each when the
    client has the one before.
    """

    def __init__(self, parts: Sequence[bytes]) -> None:
        self._parts = parts
        self.received = threading.Semaphore(0)
        super().__init__()

    def _serve(self) -> None:
        client, _address = self._listening.accept()
        with self._listening, client:
            client.recv(4096)
            for part in self._parts:
                client.sendall(part)
                self.received.acquire(timeout=PATIENCE_SECONDS)
            while chunk := client.recv(4096):
                client.sendall(chunk)


@contextmanager
def dialled(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as client:
        yield client


def forwarded(app: App, gate: Gate | None, talk: Callable[[int], bytes]) -> bytes:
    """What `talk` returns, which is called with the port of a forwarder to the app."""

    async def forward() -> bytes:
        forwarder = Forwarder(lambda: app, gate)
        port = free_port()
        await forwarder.open("127.0.0.1", port)
        try:
            return await asyncio.to_thread(talk, port)
        finally:
            await forwarder.close()

    return asyncio.run(forward())


def test_an_upload_that_the_app_refuses_early_gets_the_answer_and_no_reset() -> None:
    app = App()

    def upload(port: int) -> bytes:
        said = b""
        with dialled(port) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (8 * len(PART)) + PART)
            while chunk := client.recv(4096):
                said += chunk
            for _ in range(7):
                client.sendall(PART)
        return said

    assert forwarded(app, Gate("shop-0000beef", "staging"), upload) == ANSWER


@pytest.mark.parametrize(
    "parts",
    [
        [CHANGED],
        [b"HTTP/1.1 103 Early Hints\r\n", b"Link: </a>\r\n\r\n" + CHANGED],
    ],
    ids=["whole", "hinted, cut"],
)
def test_another_protocol_passes_a_gate_however_the_app_says_that_it_begins(parts: Sequence[bytes]) -> None:
    app = Chat(parts)

    def talk(port: int) -> bytes:
        with dialled(port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            for part in parts:
                assert client.recv(len(part), socket.MSG_WAITALL) == part
                app.received.release()
            # No request: a gate that took it for one would refuse it.
            client.sendall(b"hello\r\n\r\n")
            return client.recv(4096)

    assert forwarded(app, Gate("shop-0000beef", "staging"), talk) == b"hello\r\n\r\n"


def test_a_switch_does_not_cut_a_download_whose_client_is_slow() -> None:
    app, is_ending, may_end = Library(), threading.Event(), threading.Event()

    def download(port: int) -> int:
        received = 0
        with dialled(port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received += len(client.recv(4096))
            # All buffers up to the client are full.
            until(lambda: time.monotonic() - app.sent_at > 2 * IDLE_SECONDS)
            is_ending.set()
            may_end.wait(PATIENCE_SECONDS)
            while received < len(DOWNLOAD) + 32 * len(PART) and (chunk := client.recv(2**20)):
                received += len(chunk)
        return received

    async def forward() -> int:
        forwarder = Forwarder(lambda: app, None)
        port = free_port()
        await forwarder.open("127.0.0.1", port)
        try:
            downloading = asyncio.create_task(asyncio.to_thread(download, port))
            await asyncio.to_thread(is_ending.wait, PATIENCE_SECONDS)
            draining = asyncio.create_task(forwarder.drain(app, PATIENCE_SECONDS))
            await asyncio.sleep(0)
            may_end.set()
            received = await downloading
            await draining
            return received
        finally:
            await forwarder.close()

    received = asyncio.run(forward())
    assert received == len(DOWNLOAD) + 32 * len(PART)
