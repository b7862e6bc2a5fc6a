"""An app's stable public port: every connection is passed on, byte by byte, to the version that is live.

A connection looks up what is live when it connects, again while it is refused, and again when a new request begins on
it after a switch: so a switch needs no more than another answer from `live`, also for connections that are kept open.
What is in flight ends where it began. It reads no HTTP but a request's first line.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from typing import Protocol

CONNECT_SECONDS = 5.0
CHUNK_BYTES = 64 * 1024
IDLE_SECONDS = 1.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_REQUEST = re.compile(rb"[A-Z]{3,10} [!-~]+ HTTP/1\.[01]\r\n")

_PAGE = b"<!doctype html><meta charset=utf-8><title>503</title><p>Nothing serves here at the moment.</p>\n"
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nRetry-After: 2\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: " + str(len(_PAGE)).encode() + b"\r\n\r\n" + _PAGE
)


class Target(Protocol):
    """Something that serves. port: where on 127.0.0.1 it listens now; None while it is being started again."""

    @property
    def port(self) -> int | None: ...


class _Connection:
    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.target: Target | None = None
        self.is_answered = False
        self.moved_at = time.monotonic()

    def is_idle(self) -> bool:
        """Whether it is most likely kept open between two requests: the last bytes were an answer, some time ago."""
        return self.is_answered and time.monotonic() - self.moved_at > IDLE_SECONDS


class Forwarder:
    """Listens on one port for one app."""

    def __init__(self, live: Callable[[], Target | None]) -> None:
        self._live = live
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def open(self, host: str, port: int) -> None:
        """Start listening. Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, backlog=1024, limit=CHUNK_BYTES)

    async def drain(self, target: Target, within_seconds: float) -> None:
        """Return when nobody is connected to the target any more, or the time is over.

        Connections that idle between two requests are closed, as any server may: clients then open another one.
        """
        deadline = time.monotonic() + within_seconds
        while (left := [each for each in self._connections if each.target is target]) and time.monotonic() < deadline:
            for connection in left:
                if connection.is_idle():
                    connection.task.cancel()
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        tasks = [connection.task for connection in self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = _Connection(task)
        self._connections.add(connection)
        try:
            # Cancelling is how a connection is closed from here; a reset is how the others do it.
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await self._pass_on(connection, (reader, writer))
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _pass_on(self, connection: _Connection, client: Streams) -> None:
        """Serve the connection to its end, from one version after the other where it outlives a switch."""
        request = b""
        while (upstream := await self._connect(connection)) is not None:
            upstream[1].write(request)
            answering = asyncio.create_task(_copy_answers(connection, upstream[0], client[1]))
            asking = asyncio.create_task(self._copy_requests(connection, client[0], upstream[1]))
            try:
                await asyncio.wait({answering, asking}, return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    return
                request = asking.result()
                if not request:
                    # The client has said all that it will, and may still wait for the answer.
                    await answering
                    return
            finally:
                answering.cancel()
                asking.cancel()
                await asyncio.gather(answering, asking, return_exceptions=True)
                upstream[1].close()
        await _say_unavailable(client, is_read=bool(request))

    async def _copy_requests(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Copy until the client ends (empty), or begins a request that another version is to answer (its beginning)."""
        while chunk := await reader.read(CHUNK_BYTES):
            if connection.is_answered and self._live() is not connection.target and _REQUEST.match(chunk):
                return chunk
            connection.is_answered = False
            connection.moved_at = time.monotonic()
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        return b""

    async def _connect(self, connection: _Connection) -> Streams | None:
        """A connection to what is live, tried again while that is being restarted; None: nothing is, or not in time."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while (target := self._live()) is not None and time.monotonic() < deadline:
            connection.target = target
            if target.port is not None:
                with contextlib.suppress(OSError):
                    return await asyncio.open_connection("127.0.0.1", target.port, limit=CHUNK_BYTES)
            await asyncio.sleep(0.05)
        return None


async def _copy_answers(connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        connection.is_answered = True
        connection.moved_at = time.monotonic()
        writer.write(chunk)
        await writer.drain()


async def _say_unavailable(client: Streams, *, is_read: bool) -> None:
    """Send the page. is_read: whether the request, or its beginning, has been read already."""
    reader, writer = client
    # It is read first: closing with unread input resets the connection, and the page would be lost.
    with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(0 if is_read else 2):
            await reader.readuntil(b"\r\n\r\n")
    writer.write(_UNAVAILABLE)
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while await reader.read(CHUNK_BYTES):
                pass
