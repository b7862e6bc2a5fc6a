"""Sends requests with a time limit for each piece of a body instead of one for all of it, and finds their answers.

urllib3 leaves the limit for connecting on the socket while it sends, and a socket's limit holds for all that is handed
to it at once: on a slow connection, the receiver of a large request would seem to be out of reach.

http.client takes every informational answer but 100 for the answer itself. The connection would be used again, and the
next request on it, which may be another run's, would get the answer of this one.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from http import HTTPStatus

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from common.network.trust import TrustingAdapter

PIECE_BYTES = 2**16


class Body:
    """A request's body. seconds: how long the other side may take none of it before ReadTimeoutError is raised.
    is_sent: all of it has been handed to the connection.
    """

    def __init__(self, content: bytes, seconds: float) -> None:
        self._content = content
        self.seconds = seconds
        self.is_sent = False

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._content), PIECE_BYTES):
            yield self._content[at : at + PIECE_BYTES]
        self.is_sent = True


class _Response(http.client.HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        """The version, status and reason of the final answer. What comes before it is left out (RFC 9110, 15.2)."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                # Nobody asks for that, and what follows is not HTTP.
                raise http.client.BadStatusLine(f"{version} {status} {reason}")
            if not 100 <= status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Connection(HTTPConnection):
    response_class = _Response
    _seconds: float | None = None

    def request(self, method: str, url: str, body: object = None, headers: object = None, **options: bool) -> None:
        self._seconds = body.seconds if isinstance(body, Body) else None
        try:
            super().request(method, url, body, headers, **options)  # type: ignore[arg-type]
        finally:
            self._seconds = None

    def send(self, data: object) -> None:
        """Called for the head of a request, then for each piece of its body."""
        if self._seconds is None:
            super().send(data)  # type: ignore[arg-type]
            return
        if self.sock is None:
            # With the limit for connecting.
            self.connect()
        self.sock.settimeout(self._seconds)
        try:
            super().send(data)  # type: ignore[arg-type]
        except TimeoutError as error:
            message = "it stopped reading the request"
            raise urllib3.exceptions.ReadTimeoutError(None, self.host, message) from error  # type: ignore[arg-type]


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class Adapter(TrustingAdapter):
    """Bodies of the class Body are sent with their own time limit, also through a proxy."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: object) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _BodiesInPieces(Adapter):
    """Sends every body as a Body with this time limit."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        super().__init__()

    def send(self, request: requests.PreparedRequest, *arguments: object, **options: object) -> requests.Response:
        if isinstance(request.body, bytes):
            request.body = Body(request.body, self._seconds)  # type: ignore[assignment]
        return super().send(request, *arguments, **options)  # type: ignore[arg-type]


def patient_session(seconds: float) -> requests.Session:
    """A session that trusts what this machine trusts, and uses neither its proxies nor ~/.netrc.

    seconds: how long the other side may take none of a body before requests.ReadTimeout is raised.
    """
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, _BodiesInPieces(seconds))
    return session
