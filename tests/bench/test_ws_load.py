"""What the clients of the measurement count and notice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.bench.ws_load import EVENT_BYTES, Crowd, event_frame

_CLIENTS = 3
_SUBSCRIBED = b'{"event":"subscribed"}'
ONE, OTHER = (letter * EVENT_BYTES for letter in (b"a", b"b"))


@contextmanager
def a_crowd() -> Iterator[tuple[Crowd, list[socket.socket]]]:
    """Clients that have subscribed, and the server's sides of their sockets, in the same order."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        sides: list[socket.socket] = []

        def serve() -> None:
            for _ in range(_CLIENTS):
                side = stack.enter_context(listener.accept()[0])
                side.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                sides.append(side)
            for side in sides:
                _read_until(side, b"{}")
                side.sendall(bytes((0x81, len(_SUBSCRIBED))) + _SUBSCRIBED)

        server = threading.Thread(target=serve)
        server.start()
        with Crowd(f"http://127.0.0.1:{listener.getsockname()[1]}", [b"{}"]) as crowd:
            crowd.join(_CLIENTS)
            server.join()
            yield crowd, sides


def test_events_are_counted_for_all_clients() -> None:
    with a_crowd() as (crowd, sides):
        for side in sides:
            side.sendall(event_frame(ONE) + event_frame(OTHER))

        crowd.take([ONE, OTHER])

        assert crowd.received == 2 * _CLIENTS


def test_a_ping_is_answered_and_not_counted() -> None:
    with a_crowd() as (crowd, sides):
        for side in sides:
            side.sendall(b"\x89\0" + event_frame(ONE))

        crowd.take([ONE])

        for side in sides:
            _read_until(side, b"\x8a\x80\0\0\0\0")
        assert crowd.received == _CLIENTS


def test_another_event_than_was_published_is_noticed() -> None:
    with a_crowd() as (crowd, sides):
        for side in sides:
            side.sendall(event_frame(OTHER))

        with pytest.raises(ValueError, match="something else"):
            crowd.take([ONE])


def test_an_event_that_came_twice_to_one_client_and_not_to_another_is_noticed() -> None:
    with a_crowd() as (crowd, sides):
        sides[0].sendall(event_frame(ONE) * 2)
        sides[1].sendall(event_frame(ONE))

        with pytest.raises(ValueError, match="more than the events"):
            crowd.take([ONE])


def _read_until(side: socket.socket, end: bytes) -> None:
    data = b""
    while not data.endswith(end):
        data += side.recv(4096)
