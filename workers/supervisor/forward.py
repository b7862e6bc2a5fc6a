"""An app's stable public port: every connection is passed on, byte by byte, to the version that is live.

A connection looks up what is live when it connects, again while it is refused, and again when a new request begins on
it after a switch: so a switch needs no more than another answer from `live`, also for connections that are kept open.
What is in flight ends where it began. What a client sends is read by `requests`: as bytes, or where the app has a gate,
request by request.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from common.machine.waiting import Deadline
from workers.supervisor.gate import Gate
from workers.supervisor.requests import CHUNK_BYTES, End, RawRequests, ReadRequests, Requests, Target, Turn

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 1.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PAGE = b"<!doctype html><meta charset=utf-8><title>503</title><p>Nothing serves here at the moment.</p>\n"
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nRetry-After: 2\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: " + str(len(_PAGE)).encode() + b"\r\n\r\n" + _PAGE
)


class _Connection:
    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.turn = Turn()

    def is_idle(self) -> bool:
        """Whether it is most likely kept open between two requests: the last bytes were an answer, some time ago."""
        return self.turn.is_answered and time.monotonic() - self.turn.moved_at > IDLE_SECONDS


class Forwarder:
    """Listens on one port for one app. gate: None where only this machine's users can reach the port."""

    def __init__(self, live: Callable[[], Target | None], gate: Gate | None) -> None:
        self._live = live
        self._gate = gate
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def open(self, host: str, port: int) -> None:
        """Start listening. Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, backlog=1024, limit=CHUNK_BYTES)

    async def drain(self, target: Target, within_seconds: float) -> None:
        """Return when nobody is connected to the target any more, or the time is over.

        Connections that idle between two requests are closed, as any server may: clients then open another one.
        """
        deadline = Deadline(within_seconds)
        while (left := [each for each in self._connections if each.turn.target is target]) and not deadline.is_over:
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
        reader, turn = client[0], connection.turn
        requests: Requests = (
            RawRequests(reader, turn, self._live)
            if self._gate is None
            else ReadRequests(reader, turn, self._live, self._gate)
        )
        if not await requests.begin():
            await _say(requests.refusal, client)
            return
        while (upstream := await self._connect(turn)) is not None:
            answering = asyncio.create_task(_copy_answers(turn, upstream[0], client[1]))
            asking = asyncio.create_task(requests.copy(upstream[1]))
            try:
                await asyncio.wait({answering, asking}, return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    return
                end = asking.result()
                if end is End.SAID_ALL:
                    await answering
                    return
                if end is End.REFUSED and turn.is_answered:
                    await _say(requests.refusal, client)
                if end is End.REFUSED:
                    # In the midst of another answer: a client that is cut off asks again on another connection.
                    return
            finally:
                answering.cancel()
                asking.cancel()
                await asyncio.gather(answering, asking, return_exceptions=True)
                upstream[1].close()
        await _say(_UNAVAILABLE, client, is_read=bool(requests.begun))

    async def _connect(self, turn: Turn) -> Streams | None:
        """A connection to what is live, tried again while that is being restarted; None: nothing is, or not in time."""
        deadline = Deadline(CONNECT_SECONDS)
        while (target := self._live()) is not None and not deadline.is_over:
            turn.target = target
            if target.port is not None:
                with contextlib.suppress(OSError):
                    return await asyncio.open_connection("127.0.0.1", target.port, limit=CHUNK_BYTES)
            await asyncio.sleep(0.05)
        return None


async def _copy_answers(turn: Turn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        turn.answers(chunk)
        writer.write(chunk)
        await writer.drain()


async def _say(answer: bytes, client: Streams, *, is_read: bool = True) -> None:
    """Send the answer, none if it is empty. is_read: whether the request, or its beginning, has been read already."""
    reader, writer = client
    # It is read first: closing with unread input resets the connection, and the page would be lost.
    with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(0 if is_read else 2):
            await reader.readuntil(b"\r\n\r\n")
    writer.write(answer)
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while await reader.read(CHUNK_BYTES):
                pass
