"""A connection to the platform's WebSocket."""

from __future__ import annotations

import contextlib
import socket
from typing import cast
from urllib.parse import urlsplit

import simple_websocket
from simple_websocket.ws import ConnectionType

from common.trust import trusted_context

ANSWER_SECONDS = 30.0
PING_SECONDS = 25
"""Proxies end a connection on which nothing is said for a minute."""


class WebSocket(simple_websocket.Client):  # type: ignore[misc]
    """The library's client, which tries only the first of a host's addresses and leaves a refused connection open.

    Raises OSError if no address of the host answers, and simple_websocket.ConnectionError if the WebSocket is refused.
    """

    def __init__(self, url: str) -> None:
        """url: of the platform, as requests to its API begin with it."""
        place = urlsplit(url)
        is_secure = place.scheme == "https"
        self.host = place.netloc.rpartition("@")[2]
        self.path = f"{place.path}/ws"
        self.subprotocols: list[str] = []
        self.extra_headeers: list[tuple[str, str]] = []
        address = (place.hostname or "", place.port or (443 if is_secure else 80))
        connection = socket.create_connection(address, timeout=ANSWER_SECONDS)
        try:
            if is_secure:
                connection = trusted_context().wrap_socket(connection, server_hostname=place.hostname)
            super(simple_websocket.Client, self).__init__(
                connection, connection_type=ConnectionType.CLIENT, ping_interval=PING_SECONDS
            )
        except BaseException:
            connection.close()
            raise

    def handshake(self) -> None:
        """Called by the library, before its thread begins to read."""
        super().handshake()
        cast("socket.socket", self.sock).settimeout(None)

    def leave(self) -> None:
        """Say goodbye and end the library's thread, for which the process waits. Safe to repeat."""
        with contextlib.suppress(simple_websocket.ConnectionClosed, OSError):
            # Client.close closes the socket under the thread, which waits until its next ping. A shutdown wakes it.
            super(simple_websocket.Client, self).close()
            cast("socket.socket", self.sock).shutdown(socket.SHUT_RDWR)
