"""What becomes of the connections of an exchange that is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from workers.sandbox.http_exchanges import Streams, exchange
from workers.sandbox.http_messages import read_head


def test_an_exchange_that_is_cancelled_at_its_end_closes_its_connection() -> None:
    """A sandbox ends with its command, which may be when the answer was passed on a moment ago."""
    assert asyncio.run(_cancel_twice())


async def _cancel_twice() -> bool:
    """Whether the connection that the exchange opened is closed."""
    (outer, program), (ours, other) = socket.socketpair(), socket.socketpair()
    with program, other:
        other.setblocking(False)
        program.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client, upstream = await asyncio.open_connection(sock=outer), await asyncio.open_connection(sock=ours)
        request = await read_head(client[0], is_request=True)
        assert request is not None

        async def connect() -> Streams:
            return upstream

        exchanging = asyncio.ensure_future(exchange(client, request, b"/", connect))
        await asyncio.get_running_loop().sock_recv(other, 1000)
        exchanging.cancel()
        await asyncio.sleep(0)  # it has begun to clean up
        exchanging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await exchanging
        is_closed = upstream[1].is_closing()
        for _, writer in (client, upstream):
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return is_closed
