"""RFC 6455 byte by byte, against the real server: the cases of the Autobahn suite that apply to a server that answers
text with text, takes messages of at most 16 KiB, and no compression.
"""

from __future__ import annotations

import struct

import pytest

from tests.web.websocket.feed_server import Person, Server
from tests.web.websocket.raw_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    RawClient,
    close_frame,
    frame,
    ping_message,
)
from web.websocket.frames import LARGEST_MESSAGE

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")

PONGED = {"event": "pong", "data": {}}
INVALID_UTF8 = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",  # a surrogate
    b"\xf4\x90\x80\x80",  # above U+10FFFF
    b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",  # five and six bytes
    b"\x80", b"\xbf", b"\x80\xbf",  # continuation bytes alone
    b"\xc0 ", b"\xe0\x80 ", b"\xf0\x80\x80 ",  # cut off
    b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",  # never in UTF-8
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf",  # longer than needed
    b"\xed\xa0\x80\xed\xb0\x80",  # a pair of surrogates
    b"\xc3",  # the message ends inside a character
]  # fmt: skip


@pytest.fixture
def client(server: Server, member: Person) -> RawClient:
    return RawClient(server, member.token)


# Handshake


def test_the_handshake_proves_itself_and_agrees_to_nothing_else(server: Server) -> None:
    offers = "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: soap, wamp\r\n"
    with RawClient(server, more_headers=offers) as client:
        assert client.head.startswith("HTTP/1.1 101 ")
        lines = {line.lower() for line in client.head.split("\r\n")[1:]}

    # The example of RFC 6455, 1.3.
    accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="
    assert lines == {"upgrade: websocket", "connection: upgrade", accept}


# Framing (Autobahn 1, 9)


@pytest.mark.parametrize("size", [16, 125, 126, 127, 128, 65_535 // 5, LARGEST_MESSAGE - 1, LARGEST_MESSAGE])
@pytest.mark.parametrize("at_once", [None, 997])
def test_a_message_of_any_size_is_read(client: RawClient, size: int, at_once: int | None) -> None:
    with client:
        client.send(frame(TEXT, ping_message(size)), at_once=at_once)
        assert client.message() == PONGED


def test_many_messages_in_one_packet_are_answered_in_order(client: RawClient) -> None:
    with client:
        client.send(b"".join(frame(TEXT, ping_message()) + frame(TEXT, b'{"event":"x%d"}' % n) for n in range(20)))
        answers = [client.message() for _ in range(40)]
    assert answers == [
        answer for n in range(20) for answer in (PONGED, {"event": "error", "data": {"message": f"Unknown event x{n}"}})
    ]


@pytest.mark.parametrize("payload", [b"", b"\x00\xff", b"x" * 126])
def test_a_message_of_bytes_is_refused(client: RawClient, payload: bytes) -> None:
    with client:
        client.send(frame(BINARY, payload))
        assert client.close_code() == 1003


# Pings and pongs (2)


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\xff\xfe\xfd", b"x" * 125])
@pytest.mark.parametrize("at_once", [None, 1])
def test_a_ping_is_answered_with_its_own_bytes(client: RawClient, payload: bytes, at_once: int | None) -> None:
    with client:
        client.send(frame(PING, payload), at_once=at_once)
        assert client.frame() == (PONG, payload)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_is_whole(client: RawClient, opcode: int) -> None:
    with client:
        client.send(frame(opcode, b"\x03\xe8", is_last=False) + frame(CONTINUATION, b"more"))
        assert client.close_code() == 1002


# Reserved bits and opcodes, masks and lengths (3, 4)


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, PING, CLOSE])
def test_reserved_bits_are_refused(client: RawClient, reserved: int, opcode: int) -> None:
    with client:
        client.send(frame(TEXT, ping_message()) + frame(opcode, b"\x03\xe8", reserved=reserved) + frame(PING))
        assert client.message() == PONGED
        assert client.close_code() == 1002


@pytest.mark.parametrize("opcode", [TEXT, PING, CLOSE])
def test_a_frame_without_a_mask_is_refused(client: RawClient, opcode: int) -> None:
    with client:
        client.send(frame(opcode, b"\x03\xe8", mask=b""))
        assert client.close_code() == 1002


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("!BBH", 0x81, 0xFE, 125),
        struct.pack("!BBQ", 0x81, 0xFF, 125),
        struct.pack("!BBQ", 0x81, 0xFF, 2**16 - 1),
        struct.pack("!BBQ", 0x81, 0xFF, 2**63),
    ],
)
def test_a_length_in_another_than_the_shortest_form_is_refused(client: RawClient, head: bytes) -> None:
    with client:
        client.send(head + MASK)
        assert client.close_code() == 1002


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("!BBH", 0x81, 0xFE, LARGEST_MESSAGE + 1),
        struct.pack("!BBQ", 0x81, 0xFF, 2**16),
        struct.pack("!BBQ", 0x81, 0xFF, 2**63 - 1),
    ],
)
def test_a_message_that_is_too_long_is_refused_by_its_length(client: RawClient, head: bytes) -> None:
    with client:
        client.send(head + MASK)
        assert client.close_code() == 1009


# Fragments (5, 6.2)


def test_fragments_make_one_message_with_control_frames_between_them(client: RawClient) -> None:
    message = ping_message(60)
    parts = [
        frame(TEXT, message[:10], is_last=False),
        frame(PING, b"one"),
        frame(CONTINUATION, message[10:10], is_last=False),
        frame(PONG, b"nothing"),
        frame(CONTINUATION, message[10:50], is_last=False),
        frame(PING, b"two"),
        frame(CONTINUATION, message[50:]),
    ]
    with client:
        for at_once in (None, 1, 7):
            client.send(b"".join(parts), at_once=at_once)
            assert [client.frame() for _ in range(2)] == [(PONG, b"one"), (PONG, b"two")]
            assert client.message() == PONGED


@pytest.mark.parametrize("is_last", [True, False])
def test_a_fragment_without_a_beginning_is_refused(client: RawClient, is_last: bool) -> None:
    with client:
        client.send(frame(CONTINUATION, b"x", is_last=is_last) + frame(TEXT, ping_message()))
        assert client.close_code() == 1002


def test_fragments_that_are_too_long_together_are_refused(client: RawClient) -> None:
    part = b"x" * (LARGEST_MESSAGE // 2)
    with client:
        client.send(frame(TEXT, part, is_last=False) + frame(CONTINUATION, part, is_last=False))
        client.send(frame(CONTINUATION, b"x"))
        assert client.close_code() == 1009


# UTF-8 (6)


@pytest.mark.parametrize("text", INVALID_UTF8)
@pytest.mark.parametrize("is_cut", [False, True])
def test_text_that_is_not_utf8_is_refused(client: RawClient, text: bytes, is_cut: bool) -> None:
    with client:
        if is_cut:
            parts = [frame(CONTINUATION, bytes([byte]), is_last=False) for byte in text]
            client.send(frame(TEXT, is_last=False) + b"".join(parts) + frame(CONTINUATION))
        else:
            client.send(frame(TEXT, text))
        assert client.close_code() == 1007


# Closing (7)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_close_is_answered_with_its_code(client: RawClient, code: int) -> None:
    with client:
        client.send(close_frame(code, b"r" * 123))
        assert client.frame() == (CLOSE, struct.pack("!H", code))
        client.expect_end()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_a_code_that_may_not_be_sent_is_refused(client: RawClient, code: int) -> None:
    with client:
        client.send(close_frame(code))
        assert client.frame() == (CLOSE, struct.pack("!H", 1002))
        client.expect_end()


@pytest.mark.parametrize("after", [frame(PING, b"late"), frame(TEXT, ping_message()), close_frame(1001), b"\xff\xff"])
def test_nothing_after_a_close_is_answered(client: RawClient, after: bytes) -> None:
    with client:
        client.send(close_frame(1000) + after)
        assert client.frame() == (CLOSE, struct.pack("!H", 1000))
        client.expect_end()
