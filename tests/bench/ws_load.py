"""Many WebSocket clients in one thread, as cheap as Python allows: they count messages and look into few of them."""

from __future__ import annotations

import resource
import select
import socket
import struct
import time
from collections.abc import Callable
from urllib.parse import urlsplit

MARK = b"^"
"""A byte that every event has once, and no other message has, nor the head of a frame of an event."""
_PING, _PONG = b"\x89\0", b"\x8a\x80\0\0\0\0"
"""An empty ping, which is in no text, and the answer to it."""
_AT_ONCE = 25
_READ_BYTES = 256 * 1024
_PATIENCE_SECONDS = 120.0


def text_frame(text: bytes) -> bytes:
    """A client's frame. Its mask is zero, which is legal and saves masking."""
    size = len(text)
    head = struct.pack("!BB", 0x81, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x81, 0xFE, size)
    return head + b"\0\0\0\0" + text


def cut(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """A server's whole frames as (first byte, payload), and the rest. ValueError for what is no frame of a server."""
    found, at = [], 0
    while len(data) - at >= 2:
        first, size, start = data[at], data[at + 1], at + 2
        if first not in {0x81, 0x88, 0x89, 0x8A} or size > 127:
            raise ValueError(f"no frame: {data[at : at + 10]!r}")
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[at + 2 : start], "big")
        if len(data) < start + size:
            break
        found.append((first, data[start : start + size]))
        at = start + size
    return found, data[at:]


class Crowd:
    """Clients of one server. received: the events that all of them got so far.

    says: the messages that each sends after the handshake; the last answer to them contains b'"subscribed"'.
    """

    def __init__(self, url: str, says: list[bytes]) -> None:
        place = urlsplit(url)
        self._address = (place.hostname or "", place.port or 80)
        self._hello = (
            f"GET /ws HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self._says = b"".join(text_frame(message) for message in says)
        self._epoll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.received = 0
        self.looked_at: set[int] = set()
        self.look: Callable[[int, bytes], None] | None = None

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_error: object) -> None:
        for sock in self.sockets.values():
            sock.close()
        self._epoll.close()

    def join(self, count: int, *, reads: bool = True) -> list[socket.socket]:
        """Connect, authenticate and subscribe so many more clients. reads: whether `gather` reads them."""
        _allow_files(len(self.sockets) + count + 100)
        joined: list[socket.socket] = []
        for start in range(0, count, _AT_ONCE):
            new = [self._connect(reads) for _ in range(min(_AT_ONCE, count - start))]
            for sock in new:
                _read_until(sock, b"\r\n\r\n")
                sock.sendall(self._says)
            for sock in new:
                _read_until(sock, b'"subscribed"')
                sock.setblocking(False)
                if reads:
                    self.sockets[sock.fileno()] = sock
                    self._epoll.register(sock.fileno(), select.EPOLLIN)
            joined += new
        return joined

    def gather(self, total: int, until: float | None = None) -> None:
        """Read until `received` is total, or until this time (perf_counter). TimeoutError, ConnectionError."""
        deadline = time.perf_counter() + _PATIENCE_SECONDS
        sockets, poll = self.sockets, self._epoll.poll
        while self.received < total:
            wait = (until or deadline) - time.perf_counter()
            if wait <= 0:
                if until is None:
                    raise TimeoutError(f"{total - self.received} of {total} events did not come")
                return
            for descriptor, _events in poll(wait):
                data = sockets[descriptor].recv(_READ_BYTES)
                if not data:
                    raise ConnectionError("the server closed a socket")
                self.received += data.count(MARK)
                if _PING in data:
                    sockets[descriptor].send(_PONG)
                if descriptor in self.looked_at and self.look is not None:
                    self.look(descriptor, data)

    def _connect(self, reads: bool) -> socket.socket:
        sock = socket.socket()
        if not reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(_PATIENCE_SECONDS)
        sock.connect(self._address)
        sock.sendall(self._hello)
        return sock


def _read_until(sock: socket.socket, end: bytes) -> None:
    data = b""
    while end not in data:
        part = sock.recv(4096)
        if not part:
            raise ConnectionError(f"the server closed after {data!r}")
        data += part


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
