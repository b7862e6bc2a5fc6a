"""Moves bytes between two connections, both ways, no faster than the slower side reads."""

from __future__ import annotations

import asyncio
import contextlib

PIECE_BYTES = 2**16


async def relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    to_reader: asyncio.StreamReader,
    to_writer: asyncio.StreamWriter,
) -> None:
    """Relay until both directions have ended. The end of one is passed on and leaves the other open. Closes neither.

    Raises OSError when either connection breaks.
    """
    tasks = [asyncio.ensure_future(one_way(reader, to_writer)), asyncio.ensure_future(one_way(to_reader, writer))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Relay to the end of `reader`, and pass the end on."""
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever state it is in."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
