"""Handshakes of sockets to the whole application: which are accepted, and that refusals are those of every request."""

from __future__ import annotations

import json
import socket

import pytest
from flask import Flask

from tests.web.websocket.raw_client import TEXT, frame
from tests.web.world import served

pytestmark = pytest.mark.slow

_PLAIN = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
_ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_HELLO = frame(TEXT, json.dumps({"event": "auth", "data": {"token": "none"}}).encode())

ACCEPTED = (
    ("GET /ws", {}),
    ("GET /", {}),
    ("GET /ws?token=none", {}),
    ("GET /ws", {"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket"}),
    ("GET /ws", {"Connection": "Upgrade, keep-alive"}),
    ("GET /ws", {"Origin": "http://localhost"}),
    ("GET /ws", {"Host": "127.0.0.1:1234", "Origin": "http://127.0.0.1:1234"}),
)
REFUSED = (
    ("GET /ws", {"Host": "evil.example"}, 421),
    ("GET /ws", {"Host": "evil.example", "Origin": "http://evil.example"}, 421),
    ("GET /ws", {"Origin": "http://evil.example"}, 403),
    ("GET /ws", {"Origin": "null"}, 403),
    ("GET /ws", {"Origin": "http://["}, 403),
    ("GET /", {"Origin": "http://[evil]x"}, 403),
    ("GET /ws", {"Sec-WebSocket-Version": "12"}, 426),
    ("GET /ws", {"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
    ("GET /ws", {"Sec-WebSocket-Key": "no base64!"}, 400),
    ("GET //ws", {}, 404),
    ("GET /api/projects", {}, 405),
    ("POST /ws", {}, 405),
)


def _answer(port: int, line: str, changed: dict[str, str]) -> tuple[str, bytes]:
    """The head of the answer to a handshake, and what came after it when the client had sent a wrong token."""
    heads = "".join(f"{name}: {value}\r\n" for name, value in {**_PLAIN, **changed}.items())
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(f"{line} HTTP/1.1\r\n{heads}\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += client.recv(4096)
        head, _end, rest = data.partition(b"\r\n\r\n")
        if b" 101 " in head:
            client.sendall(_HELLO)
            while b"Invalid or expired token" not in rest and (part := client.recv(4096)):
                rest += part
        return head.decode(), rest


def test_a_handshake_opens_a_socket_or_is_refused_as_every_request_is(plain_app: Flask) -> None:
    with served() as url:
        port = int(url.rpartition(":")[2])
        for line, changed in ACCEPTED:
            head, rest = _answer(port, line, changed)
            assert head.startswith("HTTP/1.1 101 "), (line, changed)
            assert _ACCEPT in head
            assert b"Invalid or expired token" in rest
        for line, changed, status in REFUSED:
            head, _rest = _answer(port, line, changed)
            assert int(head.split()[1]) == status, (line, changed)
            assert "x-request-id:" in head.lower()
