"""No connection stays open, at whatever moment the sandbox that made it ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

import pytest

from workers.sandbox.accepting import serve_connections
from workers.sandbox.http_exchanges import Streams


class Over(Exception):
    """The sandbox has ended."""


@pytest.mark.parametrize("comes_late", [False, True], ids=["waiting", "coming"])
@pytest.mark.parametrize("turns", [0, 2, 4])
def test_a_connection_is_closed_in_whatever_turn_of_the_loop_the_sandbox_ends(turns: int, comes_late: bool) -> None:
    async def serve(client: Streams) -> None:
        await client[0].read()

    async def guard(listener: socket.socket, sandbox: socket.socket) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_connections(listener, serve, asyncio.Semaphore(2), tasks))
            if comes_late:
                await asyncio.sleep(0)
                sandbox.connect(listener.getsockname())
            for _ in range(turns):
                await asyncio.sleep(0)
            raise Over

    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always", ResourceWarning)
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as sandbox:
            listener.setblocking(False)
            if not comes_late:
                sandbox.connect(listener.getsockname())
            with pytest.raises(ExceptionGroup) as ended:
                asyncio.run(guard(listener, sandbox))
        gc.collect()

    assert [type(one) for one in ended.value.exceptions] == [Over]
    assert [str(one.message) for one in left_open] == []
