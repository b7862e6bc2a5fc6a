"""Reads the body of a provider's answer as it arrives.

A stream of events comes as hundreds of chunks a second, and through urllib3 each costs as much as all else that the
gateway does with it. So chunks are taken from the socket as they come, many at a time if there are many, and httptools
takes them out of their frames.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import gevent
import gevent.monkey
import httptools

if TYPE_CHECKING:
    import requests
    import urllib3

CHUNK_BYTES = 2**16

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
"""For httptools, which wants a head. The real one has been read."""

SILENCE_SECONDS = 600.0
"""How long a provider may send nothing before a call is ended: a model may think for minutes before its first token."""


class Timer(Protocol):
    """One of gevent's loop."""

    def start(self, callback: Callable[[], None]) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class Body(Protocol):
    """A body that is read once, from its beginning."""

    def read(self) -> bytes:
        """At least one byte, as soon as there is one; b"" at the end.

        Raises OSError, ValueError or an HTTPError of urllib3's if the connection ends too early or is silent for
        longer than its timeout.
        """

    def release(self) -> None:
        """Give the connection back for the next call. Only after the end."""

    def close(self) -> None:
        """Have nothing called any more. Safe to repeat."""


def body_of(answer: requests.Response, silence_seconds: float, silent: Callable[[], object]) -> Body:
    """The body of an answer of which nothing has been read.

    silent: ends the answer; called, where `read` does not raise, when the provider has sent nothing for so long.
    """
    raw = answer.raw
    # A connection that ends with this answer has been taken from urllib3 by http.client.
    connection = raw.connection if raw.chunked and raw.supports_chunked_reads() else None
    if connection is not None and connection.sock is not None:
        return _Chunks(raw, connection.sock, silence_seconds, silent)
    return _Plain(raw)


class ReadAhead:
    """A body whose beginning can be looked at before it is read."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._looked_at: list[bytes] = []
        self._waiting: gevent.Greenlet | None = None
        self._end: bytes | Exception | None = None

    def look(self, seconds: float) -> bytes:
        """The next piece; `read` returns it again. Empty if none comes in that time, at the end and after a fault.

        Without gevent, the time has no limit.
        """
        if self._waiting is None:
            if not is_gevent():
                return self._kept(_tried(self._body.read))
            self._waiting = gevent.spawn(_tried, self._body.read)
        self._waiting.join(max(seconds, 0))
        return self._kept(self._outcome()) if self._waiting.ready() else b""

    def read(self) -> bytes:
        """See `Body.read`."""
        if self._looked_at:
            pieces, self._looked_at = self._looked_at, []
            return b"".join(pieces)
        if self._waiting is None and self._end is None:
            return self._body.read()
        end = self._outcome() if self._end is None else self._end
        if isinstance(end, Exception):
            raise end
        return end

    def _outcome(self) -> bytes | Exception:
        """Of the read that is under way, which may be waited for."""
        assert self._waiting is not None
        outcome: bytes | Exception = self._waiting.get()
        self._waiting = None
        return outcome

    def _kept(self, outcome: bytes | Exception) -> bytes:
        if not outcome or isinstance(outcome, Exception):
            self._end = outcome
            return b""
        self._looked_at.append(outcome)
        return outcome


def _tried(read: Callable[[], bytes]) -> bytes | Exception:
    try:
        return read()
    except Exception as error:  # noqa: BLE001 (raised again by `ReadAhead.read`)
        return error


class _Plain:
    """A body with a length, or one that the end of its connection ends."""

    def __init__(self, raw: urllib3.HTTPResponse) -> None:
        self._raw = raw

    def read(self) -> bytes:
        chunk = self._raw.read1(CHUNK_BYTES, False)
        if not chunk and self._raw.length_remaining:
            # It ends like a whole one.
            raise EOFError("the body is shorter than its Content-Length")
        return chunk

    def release(self) -> None:
        self._raw.release_conn()

    def close(self) -> None:
        """There is nothing to stop."""


class _Chunks:
    """A body in chunks, on a connection that stays open after it."""

    def __init__(
        self, raw: urllib3.HTTPResponse, connection: socket.socket, silence_seconds: float, silent: Callable[[], object]
    ) -> None:
        self._raw = raw
        self._socket = connection
        self._http: http.client.HTTPResponse = raw._fp  # type: ignore[assignment]
        # What came together with the head is in the buffer of http.client. One read empties it.
        self._receive: Callable[[int], bytes] = self._http.fp.read1
        self._pieces: list[bytes] = []
        self._is_over = False
        self._fault: ValueError | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(_HEAD)
        self._silence_seconds = silence_seconds
        self._silent = silent
        self._waits_since: float | None = None
        self._timer: Timer | None = None
        if is_gevent():
            # A timeout of the socket's would start and stop a timer at every read.
            self._socket.settimeout(None)
            self._timer = gevent.get_hub().loop.timer(silence_seconds / 10, silence_seconds / 10)
            self._timer.start(self._look)

    def read(self) -> bytes:
        while not self._is_over:
            if self._fault is not None:
                raise self._fault
            self._waits_since = time.monotonic()
            received = self._receive(CHUNK_BYTES)
            self._waits_since = None
            if not received:
                raise EOFError("the connection ended before the body")
            self._receive = self._socket.recv
            try:
                self._parser.feed_data(received)
            except httptools.HttpParserError as error:
                # What came before is the caller's.
                self._fault = ValueError(f"the body's chunks are malformed: {error}")
            if self._pieces:
                pieces, self._pieces = self._pieces, []
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return b""

    def release(self) -> None:
        if self._fault is not None:
            # More came than the answer: nobody knows what comes next on this connection.
            self._raw.close()
            return
        # http.client has not seen the end that httptools has.
        self._http.close()
        self._raw.release_conn()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def on_message_begin(self) -> None:
        """Called by httptools for the answer, and for one that nobody asked for."""
        if self._is_over:
            self._fault = ValueError("a second answer follows the first")

    def on_body(self, piece: bytes) -> None:
        """Called by httptools for what is in a chunk."""
        if not self._is_over:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Called by httptools after the last chunk."""
        self._is_over = True

    def _look(self) -> None:
        """Called by gevent's hub, where nothing may wait."""
        if self._waits_since is not None and time.monotonic() - self._waits_since >= self._silence_seconds:
            self._silent()


def is_gevent() -> bool:
    return bool(gevent.monkey.is_module_patched("socket"))
