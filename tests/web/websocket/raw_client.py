"""A client that sends any bytes it likes, as a test wants them, and takes the server's apart."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from types import TracebackType
from typing import Any

from tests.long_waits import LONG_WAIT_SECONDS
from tests.web.websocket.feed_server import Server

MASK = b"\x37\xfa\x21\x3d"
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes = b"", *, is_last: bool = True, reserved: int = 0, mask: bytes = MASK) -> bytes:
    """A frame in the shortest form. reserved: the three bits. mask: empty for none."""
    size, marked = len(payload), 0x80 if mask else 0
    first = (0x80 if is_last else 0) | reserved << 4 | opcode
    if size < 126:
        head = struct.pack("!BB", first, marked | size)
    elif size < 2**16:
        head = struct.pack("!BBH", first, marked | 126, size)
    else:
        head = struct.pack("!BBQ", first, marked | 127, size)
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return head + mask + body


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def ping_message(size: int = 16) -> bytes:
    """A message of so many bytes that the server answers with `pong`. At least 16."""
    return b'{"event":"ping"' + b" " * (size - 16) + b"}"


class RawClient:
    """A socket after the handshake, authenticated if a token is given."""

    def __init__(self, server: Server, token: str | None = None, *, more_headers: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=LONG_WAIT_SECONDS)
        self._received = b""
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "upgrade: WebSocket\r\nCONNECTION: keep-alive, Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more_headers}\r\n".encode()
        )
        head, _end, self._received = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        self.head = head.decode()
        if token is not None:
            self.send(frame(TEXT, json.dumps({"event": "auth", "data": {"token": token}}).encode()))
            assert self.message()["event"] == "auth:ok"

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes, *, at_once: int | None = None) -> None:
        """at_once: bytes a packet; None: all."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = at_once or max(1, len(data))
        for start in range(0, len(data), step):
            self.socket.sendall(data[start : start + step])

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. ConnectionError at the end."""
        head = self._take(2)
        assert head[0] & 0xF0 == 0x80, "the server's frames are whole, without reserved bits"
        assert head[1] < 0x80, "the server's frames are not masked"
        size = head[1]
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, self._take(size)

    def message(self) -> dict[str, Any]:
        opcode, payload = self.frame()
        assert opcode == TEXT
        message: dict[str, Any] = json.loads(payload)
        return message

    def expect_end(self) -> None:
        """Nothing more comes, and the server ends the connection."""
        assert self._received == b""
        # A server that had not read all that was sent resets the connection.
        with contextlib.suppress(ConnectionResetError):
            assert self.socket.recv(1) == b""

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            self._more()
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._more()
        return self._received

    def _more(self) -> None:
        part = self.socket.recv(65_536)
        if not part:
            raise ConnectionError(f"the server closed after {self._received!r}")
        self._received += part
