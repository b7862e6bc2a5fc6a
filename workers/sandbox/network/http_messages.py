"""Reads HTTP/1.1 messages strictly and passes their bodies on as a stream.

What two programs could read in two ways is refused, so that nothing can be hidden from the one that decides in the
message for the other: https://www.rfc-editor.org/rfc/rfc9112#section-11.2.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from workers.sandbox.network.relays import PIECE_BYTES

LONGEST_HEAD_BYTES = 2**16
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "upgrade",
    "proxy-authorization",
    "proxy-authenticate",
}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_REQUEST_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")


class BadMessage(Exception):
    """A message that is not HTTP/1.x as it should be. The text says what is wrong."""


@dataclass(frozen=True)
class Head:
    """first: its first line in three parts. fields: names in lower case and values, in order."""

    first: tuple[bytes, bytes, bytes]
    fields: tuple[tuple[str, bytes], ...]

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    def has_token(self, name: str, token: bytes) -> bool:
        return any(token in (part.strip().lower() for part in value.split(b",")) for value in self.values(name))

    def forwarded(self, *more: tuple[str, bytes], without: tuple[str, ...] = ()) -> tuple[tuple[str, bytes], ...]:
        """Its fields without those that are about one connection, and with others."""
        named = {
            part.strip().lower().decode("latin-1") for value in self.values("connection") for part in value.split(b",")
        }
        # A field that frames the body must not get lost because somebody lists it there.
        dropped = _HOP_BY_HOP | (named - {"content-length", "transfer-encoding", "host"}) | set(without)
        return (*(field for field in self.fields if field[0] not in dropped), *more)

    def body(self) -> Body:
        """How the body after it is framed. Raises BadMessage."""
        codings, lengths = self.values("transfer-encoding"), self.values("content-length")
        if codings:
            if lengths or [one.strip().lower() for one in codings] != [b"chunked"]:
                raise BadMessage("its body has no clear length")
            return Body(None, is_chunked=True)
        if not lengths:
            return Body(None)
        if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise BadMessage("its Content-Length is not a number")
        return Body(int(lengths[0]))


@dataclass(frozen=True)
class Body:
    """length: None: not known before its end (is_chunked), or not said."""

    length: int | None
    is_chunked: bool = False


async def read_head(reader: asyncio.StreamReader, *, is_request: bool) -> Head | None:
    """Read the first line and the fields. None: the connection ended before. Raises BadMessage."""
    try:
        text = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial.strip():
            return None
        raise BadMessage("it ends within its head") from error
    except asyncio.LimitOverrunError as error:
        raise BadMessage(f"its head is longer than {LONGEST_HEAD_BYTES} bytes") from error
    first, *lines = text[:-4].lstrip(b"\r\n").split(b"\r\n")
    return Head(_request_line(first) if is_request else _status_line(first), tuple(_field(line) for line in lines))


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise BadMessage("its first line is not a request's")
    if parts[2] not in _REQUEST_VERSIONS:
        raise BadMessage("it is not HTTP/1.1 or HTTP/1.0")
    return parts[0], parts[1], parts[2]


def _status_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    version, _, rest = line.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if (
        not version.startswith(b"HTTP/1.")
        or not re.fullmatch(rb"[1-5][0-9][0-9]", status)
        or not _VALUE.fullmatch(reason)
    ):
        raise BadMessage("its first line is not an answer's")
    return version, status, reason


def _field(line: bytes) -> tuple[str, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise BadMessage("one of its fields is malformed")
    return name.decode("ascii").lower(), value.strip(b" \t")


def head_text(first: tuple[bytes, bytes, bytes], fields: tuple[tuple[str, bytes], ...]) -> bytes:
    lines = [b" ".join(first), *(name.title().encode("ascii") + b": " + value for name, value in fields)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def pass_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: Body) -> None:
    """Pass a body on, piece by piece as it comes. Chunks are framed anew; trailers are left out.

    Raises BadMessage if it ends early or is malformed.
    """
    if body.is_chunked:
        await _pass_chunks(reader, writer)
    else:
        await _pass_bytes(reader, writer, body.length or 0)


async def _pass_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
    while left:
        piece = await reader.read(min(left, PIECE_BYTES))
        if not piece:
            raise BadMessage("its body ends early")
        left -= len(piece)
        writer.write(piece)
        await writer.drain()


async def _pass_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        found = _CHUNK_SIZE.fullmatch(await _line(reader))
        if not found:
            raise BadMessage("one of its chunks is malformed")
        left = int(found[1], 16)
        if left == 0:
            break
        writer.write(b"%x\r\n" % left)
        await _pass_bytes(reader, writer, left)
        if await reader.readexactly(2) != b"\r\n":
            raise BadMessage("one of its chunks is malformed")
        writer.write(b"\r\n")
        await writer.drain()
    trailers = 0
    while line := await _line(reader):
        trailers += len(line)
        if trailers > LONGEST_HEAD_BYTES:
            raise BadMessage("its trailers are too long")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise BadMessage("its body ends early") from error
    return line[:-2]
