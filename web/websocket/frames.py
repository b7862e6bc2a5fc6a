"""WebSocket frames as bytes (RFC 6455): building the server's frames and parsing the clients' frames.

Knows no socket. The server's frames are never compressed, fragmented or masked, so one frame serves all clients.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
LARGEST_MESSAGE = 16 * 1024
"""The most bytes of a client's message, all its fragments together."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NOT_TEXT, NOT_UTF8 = 1000, 1001, 1002, 1003, 1007
POLICY, TOO_BIG, INTERNAL_ERROR, TRY_AGAIN_LATER, UNAUTHENTICATED = 1008, 1009, 1011, 1013, 4401

_DEFINED = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""The codes below 3000 that a close frame may have (RFC 6455, 7.4, and the IANA registry)."""


class Refused(Exception):
    """The client violated the protocol: close the socket with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Frame:
    """A client's frame, unmasked."""

    opcode: int
    is_last: bool
    payload: bytes


def build(opcode: int, payload: bytes) -> bytes:
    """A whole, unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 2**16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def build_text(text: str) -> bytes:
    return build(TEXT, text.encode())


def build_close(code: int, reason: str) -> bytes:
    return build(CLOSE, struct.pack("!H", code) + reason.encode()[:120])


def end_of(data: bytes, position: int) -> int:
    """Where the frame ends that the byte before `position` belongs to. data: whole frames that `build` made."""
    end = 0
    while end < position:
        size, head = data[end + 1], 2
        if size == 126:
            size, head = int.from_bytes(data[end + 2 : end + 4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(data[end + 2 : end + 10], "big"), 10
        end += head + size
    return end


def answer_to_close(payload: bytes) -> int:
    """The code that answers a client's close frame: its own; NORMAL for none; for an invalid one, what is wrong."""
    if not payload:
        return NORMAL
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (code in _DEFINED or 3000 <= code < 5000):
        return PROTOCOL_ERROR
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return NOT_UTF8
    return code


def take_frame(buffer: bytearray) -> Frame | None:
    """Take the first frame off the buffer; None if it is incomplete. Raises Refused for an invalid frame."""
    if len(buffer) < 2:
        return None
    first, second = buffer[0], buffer[1]
    opcode, size, at = first & 0x0F, second & 0x7F, 2
    if first & 0x70 or opcode not in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}:
        raise Refused(PROTOCOL_ERROR, "reserved bits or opcode")
    if not second & 0x80:
        raise Refused(PROTOCOL_ERROR, "a client's frames are masked")
    if opcode >= CLOSE and (size > 125 or not first & 0x80):
        raise Refused(PROTOCOL_ERROR, "a control frame is short and whole")
    if size >= 126:
        form = "!H" if size == 126 else "!Q"
        if len(buffer) < at + struct.calcsize(form):
            return None
        is_short = size == 126
        (size,) = struct.unpack_from(form, buffer, at)
        if size < 126 or (size < 2**16 and not is_short) or size >= 2**63:
            raise Refused(PROTOCOL_ERROR, "a length has the shortest form")
        at += struct.calcsize(form)
    if size > LARGEST_MESSAGE:
        raise Refused(TOO_BIG, f"a message has at most {LARGEST_MESSAGE} bytes")
    if len(buffer) < at + 4 + size:
        return None
    mask, body = bytes(buffer[at : at + 4]), bytes(buffer[at + 4 : at + 4 + size])
    del buffer[: at + 4 + size]
    return Frame(opcode, bool(first & 0x80), _unmask(body, mask))


def _unmask(body: bytes, mask: bytes) -> bytes:
    size = len(body)
    if not size:
        return b""
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(body, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class Messages:
    """Joins a client's frames to messages of at most LARGEST_MESSAGE bytes."""

    def __init__(self) -> None:
        self._parts: bytearray | None = None

    def add(self, frame: Frame) -> str | None:
        """The message's text if this data frame completes it, else None. Refused if it is no text or too long."""
        if frame.opcode == BINARY:
            raise Refused(NOT_TEXT, "messages are text")
        if (frame.opcode == CONTINUATION) == (self._parts is None):
            raise Refused(PROTOCOL_ERROR, "a fragment without a beginning, or a beginning inside a message")
        parts = bytearray() if self._parts is None else self._parts
        parts += frame.payload
        if len(parts) > LARGEST_MESSAGE:
            raise Refused(TOO_BIG, f"a message has at most {LARGEST_MESSAGE} bytes")
        self._parts = None if frame.is_last else parts
        if not frame.is_last:
            return None
        try:
            return parts.decode()
        except UnicodeDecodeError as error:
            raise Refused(NOT_UTF8, "not UTF-8") from error
