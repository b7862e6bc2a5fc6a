"""One backlog per socket, on a real pair of sockets: what a slow client gets, and what it costs."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS
from web.websocket import frames
from web.websocket.connection import (
    STALL_SECONDS,
    Connection,
)
from web.websocket.poll import Poll

CLOSING = bytes([0x88, 0x80, 0, 0, 0, 0])
FRAME = frames.build_text("x" * 10_000)


class Pair:
    """Our side of a socket, as a connection of a poll in a thread, and the client's."""

    def __init__(self, deadline: float | None = None) -> None:
        ours, self.client = socket.socketpair()
        self.client.settimeout(LONG_WAIT_SECONDS)
        self._poll = Poll()
        self.connection = Connection(ours.detach(), self._poll, deadline=deadline)
        self.heard: list[str] = []
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._poll.run)
        self._thread.start()
        self.connection.listen(self)

    def on_message(self, text: str) -> None:
        self.heard.append(text)

    def on_end(self) -> None:
        assert not self._has_ended.is_set()
        self._has_ended.set()

    def read_all(self) -> bytes:
        """All that the client gets, to the end, which it agrees to."""
        parts = bytearray()
        with contextlib.suppress(BrokenPipeError):
            self.client.sendall(CLOSING)
        with contextlib.suppress(ConnectionResetError):
            while part := self.client.recv(65_536):
                parts += part
        return bytes(parts)

    def fill(self) -> int:
        """Send until something waits; how many frames that took."""
        count = 0
        while not self.connection._is_stalled:
            self.connection.queue(FRAME)
            self.connection.flush()
            count += 1
        return count

    def close(self) -> None:
        self.client.close()
        assert self._has_ended.wait(LONG_WAIT_SECONDS)
        self._poll.close()
        self._thread.join(LONG_WAIT_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def cut_in_frames(data: bytes, frame: bytes) -> tuple[int, bytes]:
    """How many of this frame come first, and what comes after them."""
    count = 0
    while data.startswith(frame, count * len(frame)):
        count += 1
    return count, data[count * len(frame) :]


def test_a_client_that_lets_too_much_wait_gets_whole_frames_and_1013(pair: Pair) -> None:
    while pair.connection.is_open:
        pair.connection.queue(FRAME)
        pair.connection.flush()

    count, rest = cut_in_frames(pair.read_all(), FRAME)

    assert count > 0
    assert rest.startswith(frames.build_close(1013, "too much waits to be read"))


def test_a_client_that_takes_nothing_for_too_long_is_closed(pair: Pair) -> None:
    began = time.monotonic()
    count = pair.fill()
    pair.connection.check(began + STALL_SECONDS - 1)
    assert pair.connection.is_open
    pair.connection.check(time.monotonic() + STALL_SECONDS + 1)
    assert not pair.connection.is_open

    received, rest = cut_in_frames(pair.read_all(), FRAME)

    assert 0 < received <= count
    assert rest.startswith(frames.build_close(1013, "nothing was read for too long"))


def test_bytes_that_never_make_a_message_do_not_put_off_the_deadline() -> None:
    pair = Pair(deadline=time.monotonic() + 0.3)
    try:
        pair.client.sendall(bytes([0x81, 0xFE, 0x40, 0x00]))  # a message of 16 KiB begins

        def is_closed_at_last() -> bool:
            with contextlib.suppress(BrokenPipeError):
                pair.client.send(b"x")
            pair.connection.check(time.monotonic())
            return not pair.connection.is_open

        wait_until("the deadline to have its effect", is_closed_at_last)
        pair.connection.check(time.monotonic() + 60)
        assert pair.read_all() == frames.build_close(4401, "no authentication in time")
    finally:
        pair.close()
