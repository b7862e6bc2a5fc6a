"""What passes between a client and an app through the app's public port."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.supervisor.forward import Forwarder
from workers.supervisor.gate import Gate
from workers.supervisor.units import Streams

ANSWER = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
PART = b"x" * 2**20


class App:
    """Refuses the first upload before its body is there, as a server does that bounds what it takes."""

    def __init__(self) -> None:
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


@contextmanager
def dialled(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        yield client


@pytest.mark.parametrize("gate", [None, Gate("shop-0000beef", "staging")])
def test_an_upload_that_the_app_refuses_early_gets_the_answer_and_no_reset(gate: Gate | None) -> None:
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

    async def forward() -> bytes:
        forwarder = Forwarder(lambda: app, gate)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        await forwarder.open("127.0.0.1", port)
        try:
            return await asyncio.to_thread(upload, port)
        finally:
            await forwarder.close()

    assert asyncio.run(forward()) == ANSWER
