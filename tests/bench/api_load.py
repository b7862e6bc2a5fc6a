"""A light load generator for HTTP: a few kept connections, each with one request under way."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What was measured: answered requests, seconds of wall clock, and milliseconds of each request, in order."""

    requests: int
    seconds: float
    taken_ms: list[float]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def load(port: int, make: Callable[[int], bytes], *, seconds: float, connections: int, status: int = 200) -> Load:
    """Send requests for that long. make: the bytes of a request, by its number. AssertionError for another status."""
    expected = f"HTTP/1.1 {status} ".encode()
    selector = selectors.DefaultSelector()
    pending: dict[socket.socket, tuple[float, bytearray]] = {}
    number = 0
    taken: list[float] = []
    began = time.perf_counter()
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        pending[connection] = (time.perf_counter(), bytearray())
        connection.sendall(make(number))
        number += 1
    while pending:
        for key, _events in selector.select():
            connection = key.fileobj  # type: ignore[assignment]
            at, answer = pending[connection]
            piece = connection.recv(2**18)
            if not piece:
                raise AssertionError(f"the connection was closed: {bytes(answer[:200])!r}")
            answer += piece
            if not _is_whole(answer):
                continue
            if not answer.startswith(expected):
                raise AssertionError(bytes(answer[:500]))
            now = time.perf_counter()
            taken.append((now - at) * 1000)
            if now - began >= seconds:
                selector.unregister(connection)
                connection.close()
                del pending[connection]
                continue
            pending[connection] = (now, bytearray())
            connection.sendall(make(number))
            number += 1
    return Load(len(taken), time.perf_counter() - began, taken)


def _is_whole(answer: bytearray) -> bool:
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = bytes(answer[:end]).lower()
    at = head.find(b"content-length: ")
    size = 0 if at < 0 else int(head[at + 16 :].split(b"\r\n", 1)[0])
    return len(answer) >= end + 4 + size
