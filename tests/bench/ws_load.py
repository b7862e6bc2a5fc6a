"""Many WebSocket clients in one thread, as cheap as Python allows: they count bytes and look into few of them.

All events of a server are equally long, so bytes tell how many came. Of some sockets every byte is compared.
"""

from __future__ import annotations

import resource
import select
import socket
import struct
import time
from collections.abc import Callable
from itertools import islice
from urllib.parse import urlsplit

EVENT_BYTES = 300
"""The length of each event."""
_PING, _PONG = b"\x89\0", b"\x8a\x80\0\0\0\0"
"""An empty ping, which is in no text, and the answer to it."""
_AT_ONCE = 25
_READ_BYTES = 256 * 1024
_COMPARED = 20
"""Clients of which every byte is compared."""
_PATIENCE_SECONDS = 120.0


def text_frame(text: bytes) -> bytes:
    """A client's frame. Its mask is zero, which is legal and saves masking."""
    size = len(text)
    head = struct.pack("!BB", 0x81, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x81, 0xFE, size)
    return head + b"\0\0\0\0" + text


def event_frame(event: bytes) -> bytes:
    """A server's frame of an event of EVENT_BYTES."""
    return struct.pack("!BBH", 0x81, 126, EVENT_BYTES) + event


_FRAME_BYTES = len(event_frame(bytes(EVENT_BYTES)))


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
    """Clients of one server. received: the events that came so far, summed over all of them.

    says: the messages that each sends after the handshake; the last answer to them contains b'"subscribed"'.
    look: called with what came of the sockets in looked_at.
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
        # One buffer for all: a new one for each read costs more than the read.
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._receive: dict[int, Callable[[memoryview], int]] = {}
        self._sizes: dict[int, int] = {}
        self._total_bytes = 0
        self._parts: dict[int, list[bytes]] = {}
        self.sockets: dict[int, socket.socket] = {}
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
                    self._receive[sock.fileno()] = sock.recv_into
                    self._sizes[sock.fileno()] = 0
                    self._epoll.register(sock.fileno(), select.EPOLLIN)
            joined += new
        return joined

    @property
    def received(self) -> int:
        return self._total_bytes // _FRAME_BYTES

    def take(self, events: list[bytes]) -> None:
        """Read until all clients have got these events. ValueError if one got anything else.

        Of some clients every byte is compared, of the others the number of bytes.
        """
        self._sizes = dict.fromkeys(self.sockets, 0)
        every = max(1, len(self.sockets) // _COMPARED)
        self._parts = {descriptor: [] for descriptor in islice(self.sockets, 0, None, every)}
        self.gather(self.received + len(events) * len(self.sockets))
        frames = b"".join(map(event_frame, events))
        if set(self._sizes.values()) != {len(frames)}:
            raise ValueError("a client got more than the events, and another one less")
        if any(b"".join(parts).replace(_PING, b"") != frames for parts in self._parts.values()):
            raise ValueError("a client got something else than the events")
        self._parts = {}

    def gather(self, total: int, until: float | None = None) -> None:
        """Read until `received` is total, or until this time (perf_counter). TimeoutError, ConnectionError."""
        deadline = time.perf_counter() + _PATIENCE_SECONDS
        receive, buffer, sizes, poll = self._receive, self._buffer, self._sizes, self._epoll.poll
        wanted = total * _FRAME_BYTES
        while self._total_bytes < wanted:
            wait = (until or deadline) - time.perf_counter()
            if wait <= 0:
                if until is None:
                    raise TimeoutError(f"{total - self.received} of {total} events did not come")
                return
            come = 0
            for descriptor, _events in poll(wait):
                size = receive[descriptor](buffer)
                if not size:
                    raise ConnectionError("the server closed a socket")
                if descriptor in self._parts:
                    self._parts[descriptor].append(bytes(buffer[:size]))
                if descriptor in self.looked_at and self.look is not None:
                    self.look(descriptor, bytes(buffer[:size]))
                if size % _FRAME_BYTES:
                    size -= self._answer_pings(descriptor, size)
                sizes[descriptor] += size
                come += size
            self._total_bytes += come

    def _answer_pings(self, descriptor: int, size: int) -> int:
        """Answer the pings among what is in the buffer. Returns how many bytes they have."""
        pings = bytes(self._buffer[:size]).count(_PING)
        if pings:
            self.sockets[descriptor].send(_PONG * pings)
        return pings * len(_PING)

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
