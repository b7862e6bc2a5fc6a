"""What passes between a client and an app through the app's public port."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from workers.supervisor.forward import Forwarder
from workers.supervisor.gate import Gate
from workers.supervisor.units import Streams

CHANGED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Chat:
    """Takes up another protocol, in which it repeats what it hears. Sends its answer in these parts, each when the
    client has the one before.
    """

    def __init__(self, parts: Sequence[bytes]) -> None:
        self._parts = parts
        self.received = threading.Semaphore(0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _address = self._listening.accept()
        with self._listening, client:
            client.recv(4096)
            for part in self._parts:
                client.sendall(part)
                self.received.acquire(timeout=PATIENCE_SECONDS)
            while chunk := client.recv(4096):
                client.sendall(chunk)

    async def connect(self, *, limit: int) -> Streams:
        return await asyncio.open_connection(*self._listening.getsockname(), limit=limit)


@pytest.mark.parametrize(
    "parts",
    [[CHANGED], [b"HTTP/1.1 103 Early Hints\r\n", b"Link: </a>\r\n\r\n" + CHANGED]],
    ids=["whole", "hinted, cut"],
)
def test_another_protocol_passes_a_gate_however_the_app_says_that_it_begins(parts: Sequence[bytes]) -> None:
    app, port = Chat(parts), free_port()

    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            for part in parts:
                assert client.recv(len(part), socket.MSG_WAITALL) == part
                app.received.release()
            # No request: a gate that took it for one would refuse it.
            client.sendall(b"hello\r\n\r\n")
            return client.recv(4096)

    async def forward() -> bytes:
        forwarder = Forwarder(lambda: app, Gate("shop-0000beef", "staging"))
        await forwarder.open("127.0.0.1", port)
        try:
            return await asyncio.to_thread(talk)
        finally:
            await forwarder.close()

    assert asyncio.run(forward()) == b"hello\r\n\r\n"
