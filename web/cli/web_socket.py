"""A connection to the platform's WebSocket."""

from __future__ import annotations

import contextlib
import socket
from base64 import b64encode
from http.client import HTTPConnection, HTTPException
from typing import cast
from urllib.parse import unquote, urlsplit

import simple_websocket
from simple_websocket.ws import ConnectionType

from common.network.proxy_for_address import proxy_of
from common.network.trust import trusted_context
from web.cli.client import is_loopback

ANSWER_SECONDS = 30.0
PING_SECONDS = 25
"""Proxies end a connection on which nothing is said for a minute."""


def _connected(scheme: str, host: str, port: int) -> socket.socket:
    """A connection to the host, through the proxy that this machine's environment names for it if it names one.

    Raises OSError.
    """
    named = None if is_loopback(host) else proxy_of(scheme, f"{host}:{port}")
    if named is not None:
        try:
            return _through(named, host, port)
        except OSError:
            # Many let nobody through to other ports than 443, to which there may be a direct way.
            with contextlib.suppress(OSError):
                return socket.create_connection((host, port), timeout=ANSWER_SECONDS)
            raise
    return socket.create_connection((host, port), timeout=ANSWER_SECONDS)


def _through(named: str, host: str, port: int) -> socket.socket:
    """A connection through the proxy of this URL, as RFC 6455 (4.1) has it, also without TLS.

    Raises OSError if the proxy lets nobody through, or is not one of HTTP.
    """
    proxy = urlsplit(named)
    if proxy.scheme != "http":
        raise OSError(f"the proxy at {proxy.hostname} is one of {proxy.scheme}:// and not of http://")
    login = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    headers = {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"} if proxy.username else {}
    through = HTTPConnection(proxy.hostname or "", proxy.port or 80, timeout=ANSWER_SECONDS)
    through.set_tunnel(host, port, headers)
    try:
        through.connect()
    except (OSError, HTTPException) as error:
        through.close()
        if isinstance(error, OSError):
            raise
        raise OSError(f"the proxy at {proxy.hostname} gives no answer of HTTP: {error}") from error
    return cast("socket.socket", through.sock)


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
        connection = _connected(place.scheme, place.hostname or "", place.port or (443 if is_secure else 80))
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
