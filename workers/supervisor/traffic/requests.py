"""Readers of a client's requests on one connection to an app's port: raw, or request by request for a gate.

Both classes are used in the same way: `begin` once, then `copy` for each version that serves the connection.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from workers.supervisor.traffic.gate import COOKIE_PREFIX, Gate, page
from workers.supervisor.traffic.request_heads import Head, Malformed, parse

CHUNK_BYTES = 64 * 1024
HEAD_SECONDS = 60.0
"""How long a client may take to send the first request's head."""

_REQUEST = re.compile(rb"[A-Z]{3,10} [!-~]+ HTTP/1\.[01]\r\n")
_SWITCHING = re.compile(rb"HTTP/1\.[01] 101")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")

_BAD = page(400, "Bad Request", "The request is not valid HTTP.")
_TOO_LARGE = page(431, "Request Header Fields Too Large", "The head of the request is too large.")


class Target(Protocol):
    """A version that serves requests."""

    async def connect(self, *, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to its present process. limit: of the reader's buffer. Raises OSError, also while it restarts."""


class Exchange:
    """State that both directions of a connection share: the target, and whether the last bytes were a response."""

    def __init__(self) -> None:
        self.target: Target | None = None
        self.is_answered = False
        self.moved_at = time.monotonic()
        self.upgrade: asyncio.Future[bool] | None = None
        """Set while the response to an `Upgrade` request is awaited; True if the protocol has changed."""
        self._begun = b""

    def asks(self) -> None:
        """Bytes of a request were forwarded."""
        self.is_answered, self.moved_at = False, time.monotonic()

    def asks_for_upgrade(self) -> None:
        """The head of an `Upgrade` request was read."""
        self.upgrade, self._begun = asyncio.get_running_loop().create_future(), b""

    def answers(self, chunk: bytes) -> None:
        """Bytes of a response are about to be forwarded."""
        self.is_answered, self.moved_at = True, time.monotonic()
        if self.upgrade is None or self.upgrade.done():
            return
        self._begun += chunk
        has_changed = _has_changed(self._begun)
        if has_changed is not None:
            self.upgrade.set_result(has_changed)


def _has_changed(begun: bytes) -> bool | None:
    """Whether a response that begins like this changes the protocol; None: more of it has to be known."""
    at = 0
    while not _SWITCHING.match(begun, at) and _INTERIM.match(begun, at):
        end = begun.find(b"\r\n\r\n", at)
        if end < 0:
            return None if len(begun) < CHUNK_BYTES else False
        at = end + len(b"\r\n\r\n")
    return None if len(begun) - at < len(b"HTTP/1.1 101") else bool(_SWITCHING.match(begun, at))


class End(Enum):
    CLIENT_DONE = auto()
    """The client sends nothing more, but may still wait for the response."""
    NEXT_VERSION = auto()
    """After a switch, a new request has begun: the new version must answer it."""
    REFUSED = auto()
    """The gate refused a request: `refusal` is the response."""


class RawRequests:
    """Forwards raw bytes. Looks only for the first line of a request, to notice a new one after a switch."""

    refusal = b""

    def __init__(self, reader: asyncio.StreamReader, turn: Exchange, live: Callable[[], Target | None]) -> None:
        self._reader, self._turn, self._live = reader, turn, live
        self.begun = b""

    async def begin(self) -> bool:
        return True

    async def copy(self, writer: asyncio.StreamWriter) -> End:
        """Copy until the client ends, or begins a request that another version must answer."""
        writer.write(self.begun)
        while chunk := await self._reader.read(CHUNK_BYTES):
            turn = self._turn
            if turn.is_answered and self._live() is not turn.target and _REQUEST.match(chunk):
                self.begun = chunk
                return End.NEXT_VERSION
            turn.asks()
            writer.write(chunk)
            await writer.drain()
        _end(writer)
        return End.CLIENT_DONE


class ReadRequests:
    """Forwards request by request: the gate checks each one, and the cookies of gates are removed.

    What can't be read is forwarded to no app, whether its gate is open or shut: it may contain the cookie of another.
    """

    def __init__(
        self, reader: asyncio.StreamReader, turn: Exchange, live: Callable[[], Target | None], gate: Gate
    ) -> None:
        self._reader, self._turn, self._live, self._gate = reader, turn, live, gate
        self._head: Head | None = None
        self.refusal = b""
        self.begun = b""

    async def begin(self) -> bool:
        """Read the first request's head. False if it is not forwarded: `refusal` is the response, empty for none."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return await self._next()
        except TimeoutError:
            return False

    async def copy(self, writer: asyncio.StreamWriter) -> End:
        """Copy requests until the client ends, or sends one that another version must answer or the gate refuses."""
        while True:
            assert self._head is not None
            writer.write(self.begun)
            self._turn.asks()
            if not await self._copy_body(self._head, writer):
                _end(writer)
                return End.CLIENT_DONE
            if not await self._next():
                _end(writer)
                return End.REFUSED if self.refusal else End.CLIENT_DONE
            if self._turn.is_answered and self._live() is not self._turn.target:
                return End.NEXT_VERSION

    async def _next(self) -> bool:
        """Read the next head. False if the client has ended or the request is refused."""
        try:
            head = parse(await self._reader.readuntil(b"\r\n\r\n"))
            self.refusal = self._gate.judge(head) or b""
        except asyncio.IncompleteReadError:
            return False
        except asyncio.LimitOverrunError:
            self.refusal = _TOO_LARGE
            return False
        except Malformed:
            self.refusal = _BAD
            return False
        self._head, self.begun = head, head.without_cookies(COOKIE_PREFIX)
        return not self.refusal

    async def _copy_body(self, head: Head, writer: asyncio.StreamWriter) -> bool:
        """Copy the request's body, and after a protocol change everything that follows. False if the client ended."""
        if head.is_upgrade:
            self._turn.asks_for_upgrade()
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
        """Copy a chunked body with its trailers."""
        while True:
            line = await self._reader.readuntil(b"\r\n")
            size = _CHUNK_SIZE.fullmatch(line)
            if size is None:
                raise Malformed("a chunk has no valid size")
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
