"""RFC 6455 byte by byte, against the real server, which answers text with text, takes messages of at most 16 KiB, and
no compression. `test_frames.py` has the rules for single frames.
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
HALF = b"x" * (LARGEST_MESSAGE // 2)

REFUSED = {
    "bytes": (frame(BINARY, b"\x00\xff"), 1003),
    "a long control frame": (frame(PING, b"x" * 126), 1002),
    "a control frame in parts": (frame(PING, b"x", is_last=False) + frame(CONTINUATION, b"more"), 1002),
    "a reserved bit": (frame(TEXT, ping_message(), reserved=4), 1002),
    "a reserved opcode": (frame(3, b"x"), 1002),
    "no mask": (frame(TEXT, ping_message(), mask=b""), 1002),
    "a length in a longer form": (struct.pack("!BBQ", 0x81, 0xFF, 125) + MASK, 1002),
    "a length that is too large": (struct.pack("!BBH", 0x81, 0xFE, LARGEST_MESSAGE + 1) + MASK, 1009),
    "a length without end": (struct.pack("!BBQ", 0x81, 0xFF, 2**63 - 1) + MASK, 1009),
    "a part without a beginning": (frame(CONTINUATION, b"x"), 1002),
    "a beginning inside a message": (frame(TEXT, b"x", is_last=False) + frame(TEXT, b"y"), 1002),
    "parts that are too long together": (
        frame(TEXT, HALF, is_last=False) + frame(CONTINUATION, HALF, is_last=False) + frame(CONTINUATION, b"x"),
        1009,
    ),
    "a surrogate in UTF-8": (frame(TEXT, b"\xce\xba\xed\xa0\x80edited"), 1007),
    "longer UTF-8 than needed": (frame(TEXT, b"\xc0\xaf"), 1007),
    "half a character": (frame(TEXT, b"\xc3"), 1007),
    "a close with half a code": (frame(CLOSE, b"\x03"), 1002),
    "a close with a code that may not be sent": (close_frame(1005), 1002),
    "a close whose reason is no UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
}


@pytest.fixture
def client(server: Server, member: Person) -> RawClient:
    return RawClient(server, member.token)


def test_the_handshake_proves_itself_and_agrees_to_nothing_else(server: Server) -> None:
    offers = "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: soap, wamp\r\n"

    with RawClient(server, more_headers=offers) as client:
        assert client.head.startswith("HTTP/1.1 101 ")
        lines = {line.lower() for line in client.head.split("\r\n")[1:]}

    # The example of RFC 6455, 1.3.
    accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="
    assert lines == {"upgrade: websocket", "connection: upgrade", accept}


@pytest.mark.parametrize("size", [16, 126, 65_535 // 5, LARGEST_MESSAGE])
def test_a_message_of_any_size_is_read_however_it_is_cut(client: RawClient, size: int) -> None:
    with client:
        for at_once in (None, 97):
            client.send(frame(TEXT, ping_message(size)), at_once=at_once)
            assert client.message() == PONGED


def test_many_messages_in_one_packet_are_answered_in_order(client: RawClient) -> None:
    with client:
        client.send(b"".join(frame(TEXT, ping_message()) + frame(TEXT, b'{"event":"x%d"}' % n) for n in range(20)))
        answers = [client.message() for _ in range(40)]

    assert answers == [
        answer for n in range(20) for answer in (PONGED, {"event": "error", "data": {"message": f"Unknown event x{n}"}})
    ]


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
        for at_once in (None, 1):
            client.send(b"".join(parts), at_once=at_once)
            assert [client.frame() for _ in range(2)] == [(PONG, b"one"), (PONG, b"two")]
            assert client.message() == PONGED


@pytest.mark.parametrize(("sent", "code"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_a_rule_ends_the_socket_with_its_code(client: RawClient, sent: bytes, code: int) -> None:
    with client:
        client.send(frame(TEXT, ping_message()) + sent)
        assert client.message() == PONGED
        assert client.frame()[1][:2] == struct.pack("!H", code)


@pytest.mark.parametrize(
    ("sent", "code"), [(close_frame(1000, b"r" * 123), 1000), (frame(CLOSE), 1000), (close_frame(4999), 4999)]
)
def test_a_close_is_answered_and_nothing_after_it(client: RawClient, sent: bytes, code: int) -> None:
    with client:
        client.send(sent + frame(PING, b"late"))
        assert client.frame() == (CLOSE, struct.pack("!H", code))
        client.expect_end()
