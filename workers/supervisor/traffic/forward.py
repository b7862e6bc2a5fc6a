"""An app's stable public port: forwards every connection to the live version.

`live` is called when a client connects, on each retry of a refused connection, and when a new request begins on a
kept-alive connection. So a switch only requires that `live` returns another version. A request in progress stays with
its version. `requests` reads the client's data: as raw bytes, or request by request if the app has a gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from common.machine.waiting import Deadline
from workers.supervisor.traffic.gate import Gate
from workers.supervisor.traffic.requests import CHUNK_BYTES, End, Exchange, RawRequests, ReadRequests, Requests, Target
from workers.supervisor.units.units import Streams

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 1.0
LINGER_SECONDS, PAGE_LINGER_SECONDS = 5.0, 1.0
"""How long a client may go on sending after the end of an app's answer, or of a page of the supervisor."""
MOST_CONNECTIONS = 2000
"""To one app at once. Each takes two descriptors, or three, which all apps and checks of this machine share."""


def _unavailable(why: str) -> bytes:
    page = f"<!doctype html><meta charset=utf-8><title>503</title><p>{why}</p>\n".encode()
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nRetry-After: 2\r\n"
        b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
    )


_NONE_LIVE = _unavailable("No version of this app is running now.")
_FULL = _unavailable("This app has too many connections now.")


class _Connection:
    def __init__(self, task: asyncio.Task[None], client: asyncio.StreamWriter) -> None:
        self.task = task
        self.turn = Exchange()
        self._client = client

    def is_idle(self) -> bool:
        """Whether the connection is probably idle between requests: its last bytes were a response, a second ago, and
        the client has taken them.
        """
        is_quiet = self.turn.is_answered and time.monotonic() - self.turn.moved_at > IDLE_SECONDS
        return is_quiet and not self._client.transport.get_write_buffer_size()


class Forwarder:
    """Listens on one port for one app. gate: None if only users of this machine can reach the port."""

    def __init__(self, live: Callable[[], Target | None], gate: Gate | None) -> None:
        self._live = live
        self._gate = gate
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def open(self, host: str, port: int) -> None:
        """Start listening. Raises OSError if the port is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, backlog=1024, limit=CHUNK_BYTES)

    async def drain(self, target: Target, within_seconds: float) -> None:
        """Return when no connection to the target is left, or after within_seconds.

        Idle connections are closed, as any HTTP server may do; clients then open a new one.
        """
        deadline = Deadline(within_seconds)
        while (left := [each for each in self._connections if each.turn.target is target]) and not deadline.is_over:
            for connection in left:
                if connection.is_idle():
                    connection.task.cancel()
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        tasks = [connection.task for connection in self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = _Connection(task, writer)
        self._connections.add(connection)
        try:
            # `drain` and `close` cancel this task; a client or the app may reset the connection.
            with contextlib.suppress(asyncio.CancelledError, OSError):
                if len(self._connections) > MOST_CONNECTIONS:
                    await _send_page(_FULL, (reader, writer), is_read=False)
                    return
                await self._pass_on(connection, (reader, writer))
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _pass_on(self, connection: _Connection, client: Streams) -> None:
        """Serve the connection to its end; after a switch, later requests go to the new version."""
        reader, turn = client[0], connection.turn
        requests: Requests = (
            RawRequests(reader, turn, self._live)
            if self._gate is None
            else ReadRequests(reader, turn, self._live, self._gate)
        )
        if not await requests.begin():
            await _send_page(requests.refusal, client)
            return
        while (upstream := await self._connect(turn)) is not None:
            answering = asyncio.create_task(_copy_answers(turn, upstream[0], client[1]))
            asking = asyncio.create_task(requests.copy(upstream[1]))
            try:
                await asyncio.wait({answering, asking}, return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    break
                end = asking.result()
                if end is End.CLIENT_DONE:
                    await answering
                    return
                if end is End.REFUSED and turn.is_answered:
                    await _send_page(requests.refusal, client)
                if end is End.REFUSED:
                    # No page can be sent while another response is in progress; the client retries on a new connection.
                    return
            finally:
                answering.cancel()
                asking.cancel()
                await asyncio.gather(answering, asking, return_exceptions=True)
                upstream[1].close()
        else:
            await _send_page(_NONE_LIVE, client, is_read=bool(requests.begun))
            return
        await _linger(client, LINGER_SECONDS)

    async def _connect(self, turn: Exchange) -> Streams | None:
        """Connect to the live version; retries while it is being restarted. None if none is live or time runs out."""
        deadline = Deadline(CONNECT_SECONDS)
        while (target := self._live()) is not None and not deadline.is_over:
            turn.target = target
            with contextlib.suppress(OSError):
                return await target.connect(limit=CHUNK_BYTES)
            await asyncio.sleep(0.05)
        return None


async def _copy_answers(turn: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        turn.answers(chunk)
        writer.write(chunk)
        await writer.drain()


async def _send_page(answer: bytes, client: Streams, *, is_read: bool = True) -> None:
    """Send a response, which may be empty, and end the connection. is_read: the request's head has been read."""
    reader, writer = client
    # Read the request first: closing with unread input resets the connection, and the page would be lost.
    with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(0 if is_read else 2):
            await reader.readuntil(b"\r\n\r\n")
    writer.write(answer)
    await writer.drain()
    await _linger(client, PAGE_LINGER_SECONDS)


async def _linger(client: Streams, seconds: float) -> None:
    """Send nothing more, and drop what the client still sends, until it ends the connection or the time is over.

    An app may refuse a large upload before it has all of it. Closing with unread input resets the connection: the
    client could not finish its request, and might lose the answer.
    """
    reader, writer = client
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while await reader.read(CHUNK_BYTES):
                pass
