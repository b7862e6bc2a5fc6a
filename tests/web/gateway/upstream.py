"""A model provider that answers what a test says, byte by byte, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request that arrived. headers: by lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """How the next requests are answered. pieces: each is sent as a chunk of its own. gate: waited for after the first
    piece. interim: sent before all else. fault: `half`: the connection ends in the middle; `silence`: nothing more
    comes. length: announced, instead of sending chunks.
    """

    pieces: Sequence[bytes] = (b"{}",)
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None
    interim: bytes = b""
    fault: str = ""
    length: int | None = None


class Upstream:
    """The provider. `script` may be exchanged between requests. hung_up: a client closed its connection early. begun:
    how many answers have sent all that comes before a fault or the end.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.asked: list[Asked] = []
        self.script = Script()
        self.hung_up = threading.Event()
        self.is_over = threading.Event()
        self.connections = self.begun = 0
        self._listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as incoming:
            while line := incoming.readline():
                method, target, _version = line.decode().split()
                headers: dict[str, str] = {}
                while (header := incoming.readline().strip()) != b"":
                    name, _colon, value = header.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                length = int(headers.get("content-length", "0"))
                body = incoming.read(length)
                if len(body) < length:
                    self.hung_up.set()
                    return
                self.asked.append(Asked(method, target, headers, body))
                try:
                    if not self._answer(client, self.script):
                        return
                except ConnectionError:
                    # It did not wait for the answer, or had not read what there was of it.
                    self.hung_up.set()
                    return

    def _answer(self, client: socket.socket, script: Script) -> bool:
        """Whether the connection can be used again."""
        client.sendall(script.interim)
        framing = {"Transfer-Encoding": "chunked"} if script.length is None else {"Content-Length": str(script.length)}
        named = {"Content-Type": script.content_type, **framing, **script.headers}
        head = f"HTTP/1.1 {script.status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named.items())
        client.sendall(head.encode() + b"\r\n")
        for number, piece in enumerate(script.pieces):
            if number == 1 and script.gate is not None and not self._wait(client, script.gate):
                return False
            client.sendall(piece if script.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
        self.begun += 1
        if script.fault == "silence":
            self._wait(client, self.is_over)
        if script.fault:
            return False
        if script.length is None:
            client.sendall(b"0\r\n\r\n")
        return True

    def _wait(self, client: socket.socket, for_: threading.Event) -> bool:
        """Wait for the event. Returns False, and notes it, if the client hangs up first."""
        client.settimeout(0.02)
        while not for_.is_set():
            with contextlib.suppress(TimeoutError):
                if not client.recv(1, socket.MSG_PEEK):
                    self.hung_up.set()
                    return False
        client.settimeout(None)
        return True


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    """A provider on a port of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        made = Upstream(listener)
        threading.Thread(target=made.serve, daemon=True).start()
        yield made
        made.is_over.set()
        listener.shutdown(socket.SHUT_RDWR)


def events(*payloads: dict[str, Any], named: bool = False, end: bytes = b"") -> list[bytes]:
    """Server-sent events, one piece each. named: with a line `event:`, as Anthropic and OpenAI Responses write them."""
    pieces = []
    for payload in payloads:
        name = f"event: {payload['type']}\n" if named else ""
        pieces.append(f"{name}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode())
    return [*pieces, end] if end else pieces
