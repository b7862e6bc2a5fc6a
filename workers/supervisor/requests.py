"""What a client sends on one connection to an app's port, request by request where a gate has to look.

Both kinds are used alike: `begin` once, then `copy` for one version after the other.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from workers.supervisor.gate import COOKIE_PREFIX, Gate, page
from workers.supervisor.heads import Head, Malformed, parse

CHUNK_BYTES = 64 * 1024
HEAD_SECONDS = 60.0
"""How long the first head of a connection may take."""

_REQUEST = re.compile(rb"[A-Z]{3,10} [!-~]+ HTTP/1\.[01]\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")

_BAD = page(400, "Bad Request", "This is not a request that can be understood.")
_TOO_LARGE = page(431, "Request Header Fields Too Large", "The head of the request is too large.")


class Target(Protocol):
    """Something that serves. port: where on 127.0.0.1 it listens now; None while it is being started again."""

    @property
    def port(self) -> int | None: ...


class Exchange:
    """What both directions of a connection know: who answers, and whether the last bytes were an answer."""

    def __init__(self) -> None:
        self.target: Target | None = None
        self.is_answered = False
        self.moved_at = time.monotonic()
        self.upgrade: asyncio.Future[bool] | None = None
        """Set while an answer to `Upgrade` is awaited: whether the connection speaks another protocol from then on."""

    def asks(self) -> None:
        self.is_answered, self.moved_at = False, time.monotonic()

    def answers(self, chunk: bytes) -> None:
        self.is_answered, self.moved_at = True, time.monotonic()
        if self.upgrade is not None and not self.upgrade.done():
            self.upgrade.set_result(chunk.startswith((b"HTTP/1.1 101", b"HTTP/1.0 101")))


class End(Enum):
    SAID_ALL = auto()
    """The client sends nothing more, and may still wait for the answer."""
    MOVES_ON = auto()
    """A request has begun that another version is to answer."""
    REFUSED = auto()
    """A request has come that is not passed on: `refusal` is the answer."""


class RawRequests:
    """Byte by byte; no more is read of HTTP than a request's first line."""

    refusal = b""

    def __init__(self, reader: asyncio.StreamReader, turn: Exchange, live: Callable[[], Target | None]) -> None:
        self._reader, self._turn, self._live = reader, turn, live
        self.begun = b""

    async def begin(self) -> bool:
        return True

    async def copy(self, writer: asyncio.StreamWriter) -> End:
        """Copy until the client ends, or begins a request that another version is to answer."""
        writer.write(self.begun)
        while chunk := await self._reader.read(CHUNK_BYTES):
            turn = self._turn
            if turn.is_answered and self._live() is not turn.target and _REQUEST.match(chunk):
                self.begun = chunk
                return End.MOVES_ON
            turn.asks()
            writer.write(chunk)
            await writer.drain()
        _end(writer)
        return End.SAID_ALL


class ReadRequests:
    """Request by request: each is judged by the gate, and loses the gates' cookies."""

    def __init__(
        self, reader: asyncio.StreamReader, turn: Exchange, live: Callable[[], Target | None], gate: Gate
    ) -> None:
        self._reader, self._turn, self._live, self._gate = reader, turn, live, gate
        self._raw = RawRequests(reader, turn, live)
        self._head: Head | None = None
        self.refusal = b""
        self.begun = b""

    async def begin(self) -> bool:
        """Read the first request's head. False where it is not passed on: `refusal` is the answer, if there is one."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return await self._next()
        except TimeoutError:
            return False

    async def copy(self, writer: asyncio.StreamWriter) -> End:
        """Copy requests until the client ends, or sends one that is another version's to answer, or nobody's."""
        while True:
            if self._head is None:
                # What an open app's client speaks is not ours to judge.
                self._raw.begun = self.begun
                return await self._raw.copy(writer)
            writer.write(self.begun)
            self._turn.asks()
            if not await self._copy_body(self._head, writer):
                _end(writer)
                return End.SAID_ALL
            if not await self._next():
                _end(writer)
                return End.REFUSED if self.refusal else End.SAID_ALL
            if self._turn.is_answered and self._live() is not self._turn.target:
                return End.MOVES_ON

    async def _next(self) -> bool:
        """Read the next head. False where the client has ended or the request is not passed on."""
        try:
            raw = await self._reader.readuntil(b"\r\n\r\n")
            head = parse(raw)
        except asyncio.IncompleteReadError as error:
            return self._pass_unread(error.partial, b"")
        except asyncio.LimitOverrunError:
            return self._pass_unread(b"", _TOO_LARGE, is_waiting=True)
        except Malformed:
            return self._pass_unread(raw, _BAD)
        self.refusal = self._gate.judge(head) or b""
        self._head, self.begun = head, head.without_cookies(COOKIE_PREFIX)
        return not self.refusal

    def _pass_unread(self, raw: bytes, refusal: bytes, *, is_waiting: bool = False) -> bool:
        """What can't be read is refused by a gate that is shut, and passed on as it is by one that is open."""
        if self._gate.is_shut:
            self.refusal = refusal
            return False
        self._head, self.begun = None, raw
        return bool(raw) or is_waiting

    async def _copy_body(self, head: Head, writer: asyncio.StreamWriter) -> bool:
        """Copy the request's body, and after a change of protocol all that follows. False where the client ended."""
        if head.is_upgrade:
            self._turn.upgrade = asyncio.get_running_loop().create_future()
        await writer.drain()
        try:
            if head.length is not None:
                await self._copy_bytes(head.length, writer)
            else:
                await self._copy_chunks(writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, Malformed):
            return False
        if self._turn.upgrade is None:
            return True
        has_changed = await self._turn.upgrade
        self._turn.upgrade = None
        while has_changed and (chunk := await self._reader.read(CHUNK_BYTES)):
            self._turn.asks()
            writer.write(chunk)
            await writer.drain()
        return not has_changed

    async def _copy_bytes(self, count: int, writer: asyncio.StreamWriter) -> None:
        while count:
            chunk = await self._reader.read(min(count, CHUNK_BYTES))
            if not chunk:
                raise asyncio.IncompleteReadError(b"", count)
            count -= len(chunk)
            self._turn.asks()
            writer.write(chunk)
            await writer.drain()

    async def _copy_chunks(self, writer: asyncio.StreamWriter) -> None:
        """A body in chunks, with the trailers after its last one."""
        while True:
            line = await self._reader.readuntil(b"\r\n")
            size = _CHUNK_SIZE.fullmatch(line)
            if size is None:
                raise Malformed("a chunk has no size")
            writer.write(line)
            if not int(size[1], 16):
                break
            await self._copy_bytes(int(size[1], 16) + 2, writer)
        while line != b"\r\n":
            line = await self._reader.readuntil(b"\r\n")
            writer.write(line)
        await writer.drain()


Requests = RawRequests | ReadRequests


def _end(writer: asyncio.StreamWriter) -> None:
    if writer.can_write_eof():
        writer.write_eof()
