"""Connections of the product on real pairs of sockets, without a server."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

from web.websocket import frames
from web.websocket.connection import Connection
from web.websocket.poll import Poll

Pair = tuple[Connection, socket.socket]


@contextlib.contextmanager
def pairs() -> Iterator[Callable[[], Pair]]:
    """Makes a connection and the socket at its other end, which nobody waits at."""
    poll = Poll()
    with contextlib.ExitStack() as stack:

        def make() -> Pair:
            ours, theirs = socket.socketpair()
            stack.enter_context(theirs)
            theirs.setblocking(False)
            connection = Connection(ours.detach(), poll)
            stack.callback(connection.check, float("inf"))
            stack.callback(connection.close, frames.GOING_AWAY)
            return connection, theirs

        yield make


def received(theirs: socket.socket) -> bytes:
    """What is there now."""
    try:
        return theirs.recv(2**20)
    except BlockingIOError:
        return b""
