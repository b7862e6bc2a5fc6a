"""The lines of a program that speaks the Agent Client Protocol: one message a line, an object in JSON.

All other lines are ignored: programs print other things, too. The SDK's own transport passes any JSON on, and its
connection ends at what is no object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from workers.runner.drivers.json_lines import Json


class ObjectLines:
    """A transport for the SDK's connections (`acp.connection.Connection`). A line may have any length."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, message: Json) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")
        await self._writer.drain()

    async def receive(self) -> Json | None:
        """The next object; None at the end of the output."""
        while line := await self._line():
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(line)
                if isinstance(message, dict):
                    return message
        return None

    async def close(self) -> None:
        """Does nothing: the pipes are closed with the program."""

    async def _line(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            try:
                return b"".join([*pieces, await self._reader.readuntil(b"\n")])
            except asyncio.IncompleteReadError as end:
                return b"".join([*pieces, end.partial])
            except asyncio.LimitOverrunError as longer:
                pieces.append(await self._reader.readexactly(longer.consumed))
