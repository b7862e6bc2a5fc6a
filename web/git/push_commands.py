"""What a push asks for, read before git sees it: git's own settings know no rule for one branch.

A request to git-receive-pack begins with its commands in pkt-lines, then comes the pack. The commands are read as
receive-pack.c reads them, and handed on byte for byte with the rest. What git could understand otherwise is refused.
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
    """What was sent is no push that is served here; the message says why."""


@dataclass(frozen=True)
class Command:
    """`ref` is to be moved from `old` to `new`; forty noughts stand for none."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True)
class PushRules:
    """hidden_refs: fully qualified refs that this push may not touch. is_forward_only: no branch is moved by force.
    notice: a line that the pusher is shown."""

    hidden_refs: tuple[str, ...] = ()
    is_forward_only: bool = False
    notice: str | None = None


Judge = Callable[[Sequence[Command]], PushRules]


@dataclass(frozen=True)
class Push:
    """body: the whole request again, for git to read, not compressed. has_side_band: the pusher can be told things."""

    commands: tuple[Command, ...]
    has_side_band: bool
    body: IO[bytes]


def read_push(stream: IO[bytes], *, is_compressed: bool) -> Push:
    """Read the commands. BadPush for what git would not understand, or could understand otherwise."""
    body = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if is_compressed else stream
    heard = bytearray()
    commands: list[Command] = []
    capabilities = b""
    while (line := _next_line(body, heard)) is not None:
        text, has_more, more = line.partition(b"\0")
        if has_more:
            capabilities = more
        if not _SHALLOW.fullmatch(text):
            commands.append(_command(text))
    rest = cast("IO[bytes]", _Again(bytes(heard), body))
    return Push(tuple(commands), b"side-band-64k" in capabilities.split(), rest)


def notice_packet(text: str) -> bytes:
    """A line for the pusher's screen, as a packet of the side band that carries messages."""
    content = b"\x02AiWorker: " + text.encode()[:_LONGEST_NOTICE] + b"\n"
    return f"{len(content) + 4:04x}".encode() + content


def _next_line(body: IO[bytes], heard: bytearray) -> bytes | None:
    """The next pkt-line without its line feed; None after the last."""
    head = _exactly(body, 4, heard)
    if not head:
        return None
    if not _LENGTH.fullmatch(head):
        raise BadPush("The push does not begin with commands.")
    length = int(head, 16)
    if length < 4:
        return None
    line = _exactly(body, length - 4, heard)
    if len(line) != length - 4:
        raise BadPush("The push ends in the middle of a command.")
    return line.removesuffix(b"\n")


def _exactly(body: IO[bytes], count: int, heard: bytearray) -> bytes:
    if len(heard) + count > MOST_COMMAND_BYTES:
        raise BadPush("The push names too many refs: push fewer at once.")
    parts = bytearray()
    try:
        while len(parts) < count and (part := body.read(count - len(parts))):
            parts += part
    except (OSError, EOFError, zlib.error) as error:
        raise BadPush("The body of the push can't be read.") from error
    heard += parts
    return bytes(parts)


def _command(text: bytes) -> Command:
    found = _COMMAND.fullmatch(text)
    if found is None:
        # Among them push-cert: a signed push names its refs inside of what is signed.
        raise BadPush("The push holds something other than commands; signed pushes are not taken.")
    return Command(found[3].decode("utf-8", "surrogateescape"), found[1].decode(), found[2].decode())


class _Again(io.RawIOBase):
    """What was read already, then the rest."""

    def __init__(self, heard: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._heard, self._rest = heard, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._heard:
            part, self._heard = (self._heard, b"") if size < 0 else (self._heard[:size], self._heard[size:])
            return part
        return self._rest.read(size)
