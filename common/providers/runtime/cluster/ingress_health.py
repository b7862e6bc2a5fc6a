"""Health check of a cluster's app through the ingress, by the same rule as in the local runtime.

An app is healthy if its status is below 400, following redirects on its own host only, and the body contains the
required text. Checked from when a version's pods are ready until it is live; then the kubelet's readiness probe takes
over.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
from requests import PreparedRequest
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool

from common.network.trust import TrustingAdapter

PROBE_SECONDS = (2.0, 5.0)
"""Seconds to connect, and to wait for each piece of an answer."""
WHOLE_SECONDS = 15.0
"""Limit for the whole check. An app may send one byte after the other."""
_CUT_SECONDS = 0.1
MOST_REDIRECTS = 5
MOST_BYTES = 2**20


@dataclass(frozen=True)
class IngressRoute:
    """address: the ingress to send requests to. url: the app's public address, whose host is sent as Host header."""

    address: str
    url: str


class _TimeLimit(TrustingAdapter):
    """Sends requests until a time is over, then cuts their connections."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = False
        self._sockets: list[socket.socket] = []

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        assert isinstance(pool, HTTPConnectionPool)
        make = type(pool).ConnectionCls

        def connection(*arguments: object, **options: object) -> HTTPConnection:
            made = make(*arguments, **options)  # type: ignore[arg-type]
            assert isinstance(made, HTTPConnection)
            connect = made.connect

            def connect_and_note() -> None:
                connect()
                # Noted now: a connection forgets its socket as soon as it knows that no other answer follows.
                self._sockets.append(made.sock)

            made.connect = connect_and_note  # type: ignore[method-assign]
            return made

        pool.ConnectionCls = connection  # type: ignore[assignment]
        return pool

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Inside, requests fail after so many seconds, or end as if the other side had closed the connection."""
        is_done = threading.Event()
        timer = threading.Thread(target=self._cut_after, args=(seconds, is_done), daemon=True)
        timer.start()
        try:
            yield
        finally:
            is_done.set()
            timer.join()

    def _cut_after(self, seconds: float, is_done: threading.Event) -> None:
        if is_done.wait(seconds):
            return
        self.is_over = True
        # Again and again: a connection may just be opened.
        while not is_done.wait(_CUT_SECONDS):
            for one in self._sockets:
                # At the descriptor itself: ssl's own shutdown would take the session from the thread that reads.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(one, socket.SHUT_RDWR)


def wrong_answer(
    route: IngressRoute, path: str, contains: str | None, *, whole_seconds: float = WHOLE_SECONDS
) -> str | None:
    """Return what is wrong with the app's answer, as a clause to follow the address; None if the app is healthy."""
    limit = _TimeLimit()
    with requests.Session() as session, limit.within(whole_seconds):
        session.mount("http://", limit)
        session.mount("https://", limit)
        wrong = _checked(session, route, path, contains)
    # An answer that was cut looks like one that has ended.
    return f"it does not answer within {whole_seconds:g} s" if limit.is_over else wrong


def _checked(session: requests.Session, route: IngressRoute, path: str, contains: str | None) -> str | None:
    own = urlsplit(route.url)
    try:
        for _ in range(MOST_REDIRECTS + 1):
            with session.get(
                route.address + path,
                headers={"Host": own.netloc},
                timeout=PROBE_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                location = answer.headers.get("Location") if 300 <= answer.status_code < 400 else None
                if location is None:
                    return _wrong(answer, contains)
            target = urlsplit(urljoin(route.url + path, location))
            if target.hostname != own.hostname:
                return f"it redirects to another host ({target.netloc})"
            next_path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            if next_path == path and target.scheme != urlsplit(route.address).scheme:
                # The ingress redirects every request to TLS, and the configured address has none: the check ends here.
                return None if contains is None else f"it redirects to {target.scheme}, which is not checked"
            path = next_path
    except requests.RequestException as error:
        return f"it does not answer ({type(error).__name__})"
    return f"it answers with more than {MOST_REDIRECTS} redirects"


def _wrong(answer: requests.Response, contains: str | None) -> str | None:
    if answer.status_code >= 400:
        return f"it answers {answer.status_code}"
    if contains is None:
        return None
    body = bytearray()
    for chunk in answer.iter_content(64 * 1024):
        body += chunk
        if len(body) >= MOST_BYTES:
            break
    return None if contains.encode() in body else f"it answers without the text {contains!r}"
