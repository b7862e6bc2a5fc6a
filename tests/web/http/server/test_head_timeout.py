"""A head that comes byte by byte is cut off; what is slow for a reason is not: real sockets to the real server."""

from __future__ import annotations

import http.client
import json
import select
import socket

import pytest
from flask import Flask
from websockets.sync.client import connect

from tests.builders import a_token, a_user
from tests.web.world import served

pytestmark = pytest.mark.slow

SLOW = 20
MOST_BYTES = 300
"""At ten bytes a second: half a minute, and less than half of what an idle connection has."""
PAUSE_SECONDS = 0.1


def _is_cut(connection: socket.socket) -> bool:
    """Whether the server has closed it. Waits PAUSE_SECONDS if it has not: that is what makes the head slow."""
    readable, _, _ = select.select([connection], [], [], PAUSE_SECONDS / SLOW)
    try:
        return bool(readable) and connection.recv(1024) == b""
    except ConnectionError:
        return True


def _trickle(slow: list[socket.socket]) -> list[socket.socket]:
    """Send one byte more of a head on each, again and again; returns those that are still open after MOST_BYTES."""
    for _number in range(MOST_BYTES):
        slow = [connection for connection in slow if not _is_cut(connection)]
        if not slow:
            break
        for connection in slow:
            try:
                connection.sendall(b"x")
            except OSError:
                continue
    return slow


def test_slow_heads_are_cut_off_and_nothing_else_is(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_HEAD_SECONDS", "1")
    token = a_token(a_user("max"))
    with served(app="tests.web.impatient_app") as url:
        port = int(url.rpartition(":")[2])
        idle = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        idle.request("GET", "/api/health/live")
        assert idle.getresponse().read() == b'{"status":"ok"}'
        body = json.dumps({"username": "nobody", "password": "nobodys"}).encode()
        upload = socket.create_connection(("127.0.0.1", port), 60)
        upload.sendall(
            b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        upload.sendall(body[:10])
        with connect(f"ws://127.0.0.1:{port}/ws", open_timeout=60) as live:
            live.send(json.dumps({"event": "auth", "data": {"token": token}}))
            assert '"auth:ok"' in str(live.recv(timeout=60))
            slow = [socket.create_connection(("127.0.0.1", port), 60) for _number in range(SLOW)]
            for connection in slow:
                connection.sendall(b"GET /api/health/live HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            assert _trickle(slow) == []

            live.send(json.dumps({"event": "ping", "data": {}}))
            assert '"pong"' in str(live.recv(timeout=60))
        idle.request("GET", "/api/health/live")
        assert idle.getresponse().read() == b'{"status":"ok"}'
        upload.sendall(body[10:])
        assert b" 401 " in upload.makefile("rb").readline()
        for connection in (*slow, upload):
            connection.close()
        idle.close()
