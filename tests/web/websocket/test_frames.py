"""WebSocket frames, byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.websocket import frames
from web.websocket.frames import Frame, Refused

MASK = b"\x01\x02\x03\x04"


def masked(opcode: int, payload: bytes, *, first: int = 0x80) -> bytearray:
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first | opcode, 0x80 | size)
    elif size < 2**16:
        head = struct.pack("!BBH", first | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first | opcode, 0x80 | 127, size)
    body = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytearray(head + MASK + body)


@given(payload=st.binary(max_size=300), more=st.binary(max_size=3))
def test_a_frame_is_taken_only_when_it_is_whole(payload: bytes, more: bytes) -> None:
    whole = masked(frames.TEXT, payload)
    for size in range(len(whole)):
        assert frames.take_frame(bytearray(whole[:size])) is None

    buffer = whole + more

    assert frames.take_frame(buffer) == Frame(frames.TEXT, True, payload)
    assert buffer == more


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (bytes([0x81, 0x05]), frames.PROTOCOL_ERROR),  # not masked
        (bytes([0x09, 0x80]), frames.PROTOCOL_ERROR),  # a ping in fragments
        (bytes([0x89, 0xFE]), frames.PROTOCOL_ERROR),  # a long ping
        (struct.pack("!BBH", 0x81, 0xFE, frames.LARGEST_MESSAGE + 1), frames.TOO_BIG),
        (struct.pack("!BBQ", 0x81, 0xFF, 2**62), frames.TOO_BIG),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_head(head: bytes, code: int) -> None:
    with pytest.raises(Refused) as refused:
        frames.take_frame(bytearray(head))

    assert refused.value.code == code
