"""The commands of a push, read before git reads them: git's settings have no rules for single branches.

A request to git-receive-pack begins with commands in pkt-lines; the pack follows. The commands are read as
receive-pack.c reads them, and passed on byte for byte with the rest. Ambiguous input is refused.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, cast

MOST_COMMAND_BYTES = 2**20
_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) (.+)", re.DOTALL)
_SHALLOW = re.compile(rb"shallow [0-9a-f]{40}")
_LONGEST_NOTICE = 900


class BadPush(Exception):
    """The request is not a push that is accepted here; the message says why."""


@dataclass(frozen=True)
class Command:
    """Moves `ref` from `old` to `new`. Forty zeros stand for no commit."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True)
class PushRules:
    """hidden_refs: fully qualified refs that this push may not change. is_forward_only: only fast-forwards are
    accepted. notice: a line that is shown to the pusher."""

    hidden_refs: tuple[str, ...] = ()
    is_forward_only: bool = False
    notice: str | None = None


RulesOfPush = Callable[[Sequence[Command]], PushRules]


@dataclass(frozen=True)
class Push:
    """body: the whole request, uncompressed, for git. has_side_band: the pusher's git shows messages."""

    commands: tuple[Command, ...]
    has_side_band: bool
    body: IO[bytes]


def read_push(stream: IO[bytes], *, is_compressed: bool) -> Push:
    """Read the commands. Raises BadPush for malformed or ambiguous ones."""
    body = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if is_compressed else stream
    consumed = bytearray()
    commands: list[Command] = []
    capabilities = b""
    while (line := _next_line(body, consumed)) is not None:
        text, has_more, more = line.partition(b"\0")
        if has_more:
            capabilities = more
        if not _SHALLOW.fullmatch(text):
            commands.append(_command(text))
    rest = cast("IO[bytes]", _Replayed(bytes(consumed), body))
    return Push(tuple(commands), b"side-band-64k" in capabilities.split(), rest)


def notice_packet(text: str) -> bytes:
    """A line for the pusher's terminal, as a packet of the side band for messages."""
    content = b"\x02AiWorker: " + text.encode()[:_LONGEST_NOTICE] + b"\n"
    return f"{len(content) + 4:04x}".encode() + content


def _next_line(body: IO[bytes], consumed: bytearray) -> bytes | None:
    """The next pkt-line without its line feed; None after the last one."""
    head = _exactly(body, 4, consumed)
    if not head:
        return None
    if not _LENGTH.fullmatch(head):
        raise BadPush("The push does not begin with commands.")
    length = int(head, 16)
    if length < 4:
        return None
    line = _exactly(body, length - 4, consumed)
    if len(line) != length - 4:
        raise BadPush("The push ends in the middle of a command.")
    return line.removesuffix(b"\n")


def _exactly(body: IO[bytes], count: int, consumed: bytearray) -> bytes:
    if len(consumed) + count > MOST_COMMAND_BYTES:
        raise BadPush("The push names too many refs: push fewer at once.")
    parts = bytearray()
    try:
        while len(parts) < count and (part := body.read(count - len(parts))):
            parts += part
    except (OSError, EOFError, zlib.error) as error:
        raise BadPush("The body of the push can't be read.") from error
    consumed += parts
    return bytes(parts)


def _command(text: bytes) -> Command:
    found = _COMMAND.fullmatch(text)
    if found is None:
        # Includes push-cert: a signed push names its refs inside the signed part.
        raise BadPush("The push contains something other than commands; signed pushes are not accepted.")
    return Command(found[3].decode("utf-8", "surrogateescape"), found[1].decode(), found[2].decode())


class _Replayed(io.RawIOBase):
    """A stream of the bytes that were read already and then the rest."""

    def __init__(self, consumed: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._consumed, self._rest = consumed, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._consumed:
            part, self._consumed = (self._consumed, b"") if size < 0 else (self._consumed[:size], self._consumed[size:])
            return part
        return self._rest.read(size)
