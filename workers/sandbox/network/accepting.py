"""Accepts connections on the listening sockets of sandboxes, and closes each, at whatever moment the work is cancelled.

`loop.sock_accept` loses a connection if it is cancelled in the turn of the loop in which one came, and a task that is
cancelled before its first step never runs its `finally`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Awaitable, Callable

from workers.sandbox.network.http_exchanges import Streams
from workers.sandbox.network.http_messages import LONGEST_HEAD_BYTES
from workers.sandbox.network.relays import close

logger = logging.getLogger("workers.sandbox")

_PAUSE_SECONDS = 0.1


async def serve_connections(
    listener: socket.socket,
    serve: Callable[[Streams], Awaitable[None]],
    room: asyncio.Semaphore,
    tasks: asyncio.TaskGroup,
) -> None:
    """Serve each connection in a task of its own, as many at once as there is room for. Goes on until cancelled.

    listener: non-blocking; it stays the caller's.
    """
    while True:
        await readable(listener.fileno())
        await room.acquire()
        try:
            connection, _ = listener.accept()
        except BlockingIOError:  # its other side has gone meanwhile
            room.release()
            continue
        except OSError as error:
            # Of too many open files of this process: a sandbox must not end for that.
            logger.warning("a sandbox's connection could not be accepted", extra={"error": str(error)})
            room.release()
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        connection.setblocking(False)
        task = tasks.create_task(_serve(connection, serve))
        task.add_done_callback(functools.partial(_release, connection, room))


async def readable(descriptor: int) -> None:
    """Wait until there is something to read or to accept."""
    loop = asyncio.get_running_loop()
    seen = loop.create_future()

    def see() -> None:
        if not seen.done():
            seen.set_result(None)

    loop.add_reader(descriptor, see)
    try:
        await seen
    finally:
        loop.remove_reader(descriptor)


async def _serve(connection: socket.socket, serve: Callable[[Streams], Awaitable[None]]) -> None:
    try:
        reader, writer = await asyncio.open_connection(sock=connection, limit=LONGEST_HEAD_BYTES)
        try:
            await serve((reader, writer))
        finally:
            await close(writer)
    except OSError:
        return  # either side broke the connection, which the other sees
    except Exception:
        logger.exception("a connection of a sandbox ended by a bug")


def _release(connection: socket.socket, room: asyncio.Semaphore, _task: asyncio.Task[None]) -> None:
    connection.close()
    room.release()
