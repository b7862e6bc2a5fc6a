"""One open WebSocket: reading, writing and closing it. Knows no projects or events.

What is written goes through one backlog. Writing never waits: what the kernel does not accept stays in the backlog, and
the poll (web/websocket/poll.py) reports when there is room. So a client that does not read delays no other client, and
uses at most the backlog's memory before it is closed. (`simple_websocket`'s own `send` may write half a frame under
gevent.)

Reading never waits either. Each of the client's messages is handled in a thread that lives as long as that takes;
meanwhile nothing more is read of this client. The poll reads one chunk of a client at a time; the rest is read in such
a thread, which lets others run after each chunk.
"""

from __future__ import annotations

import _thread
import os
import threading
import time
from collections import deque
from itertools import islice
from typing import Protocol

import structlog

from web.websocket import frames
from web.websocket.frames import Messages, Refused
from web.websocket.poll import ENDING, WRITABLE, Poll, spawn
from web.websocket.rates import Rate

log = structlog.get_logger()

MOST_PENDING = 1_000
MOST_PENDING_BYTES = 4 * 2**20
STALL_SECONDS = 8.0
"""How long a client may read nothing while frames are queued for it."""
CLOSE_SECONDS = 2.0
"""How long a client has to read the close frame and answer it."""
PING_SECONDS = 20.0
"""A client that has sent nothing for this long gets a ping; if it sends nothing for as long again, it is closed."""
MOST_DROPPED_BYTES = 4 * 2**20
"""How much is still read of a client that is being closed: a message that is too long, or what was on its way."""

_READ_BYTES = 16 * 1024
_MOST_PARTS = 64

LOCK = _thread.allocate_lock()
"""Guards the state of every connection. One lock serves all: nobody waits for anything while holding it."""


class Listener(Protocol):
    """What a connection tells about its client."""

    def on_message(self, text: str) -> None:
        """Handle a message. May take long; the next message comes after it."""

    def on_end(self) -> None:
        """Called once, when the socket is closed and `on_message` has returned. May take long."""


class Connection:
    """A socket after the handshake, which this object owns. deadline: when it is closed (monotonic); None: never."""

    __slots__ = (
        "_backlog", "_buffer", "_closing_at", "_descriptor", "_dropped_bytes", "_heard_at", "_is_answered", "_is_busy",
        "_is_ending", "_is_over", "_is_readable", "_is_stalled", "_listener", "_messages", "_offset", "_pending",
        "_pending_bytes", "_pinged_at", "_poll", "_progress_at", "_rate", "_written", "deadline",
    )  # fmt: skip

    def __init__(self, descriptor: int, poll: Poll, *, deadline: float | None = None) -> None:
        self.deadline = deadline
        self._descriptor = descriptor
        self._poll = poll
        self._listener: Listener | None = None
        # The backlog: chunks of whole frames, and how many frames each has. Of the first, _offset bytes are written.
        self._backlog: deque[tuple[bytes, int]] | None = None
        self._offset = 0
        self._pending = 0
        self._pending_bytes = 0
        self._is_stalled = False  # the kernel accepts no more: the poll reports when it does
        self._progress_at = 0.0
        self._written: threading.Event | None = None
        self._closing_at: float | None = None
        self._dropped_bytes = 0  # read while closing
        self._is_answered = False  # both sides have sent a close frame, or ours is queued
        self._is_over = False
        # Reading. Buffers exist only while a message is incomplete.
        self._buffer: bytearray | None = None
        self._messages: Messages | None = None
        self._is_readable = False
        self._is_ending = False
        self._is_busy = False  # a thread reads, or handles a message
        self._pinged_at: float | None = None  # None: not since it last sent something
        self._heard_at = time.monotonic()
        self._rate = Rate()
        os.set_blocking(descriptor, False)

    def listen(self, listener: Listener) -> None:
        """Begin to read. Call it once."""
        with LOCK:
            self._listener = listener
            if self._is_over:
                self._tell_end()
            else:
                self._poll.add(self._descriptor, self)

    @property
    def is_open(self) -> bool:
        """Whether queued frames can still be delivered."""
        return self._closing_at is None and not self._is_over

    # Writing

    def queue(self, data: bytes, count: int = 1) -> None:
        """Queue whole frames for the next flush. A client with too many queued frames is closed with 1013."""
        with LOCK:
            if self.is_open:
                self._append(data, count)

    def flush(self) -> None:
        """Write queued frames as far as the kernel accepts them at once. Never waits."""
        if self._backlog:
            with LOCK:
                self._write()

    def deliver(self, data: bytes, count: int) -> None:
        """Queue and flush. Call it with LOCK held, which is taken once for many connections."""
        if self._closing_at is not None or self._is_over:
            return
        if self._backlog:
            self._append(data, count)
            self._write()
            return
        try:
            # Not the socket's send, which waits under gevent.
            written = os.write(self._descriptor, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self._end()
            return
        if written < len(data):
            self._offset = written  # before the rest is appended: that may give up, and then completes the begun frame
            self._append(data, count)
            self._stall()

    def wait_until_written(self) -> None:
        """Wait until all queued frames are written, or the socket is closing."""
        while True:
            with LOCK:
                if not self._backlog or not self.is_open:
                    return
                written = self._written = self._written or threading.Event()
            written.wait()

    def close(self, code: int, reason: str = "") -> None:
        """Queue a close frame. The socket ends when the client answers it, or after CLOSE_SECONDS."""
        with LOCK:
            if self.is_open:
                self._append(frames.build_close(code, reason))
                self._begin_to_close()
                self._write()

    def check(self, now: float) -> None:
        """Enforce the time limits. Call it about once a second with the monotonic time. Never waits."""
        if self._closing_at is not None:
            if now - self._closing_at > CLOSE_SECONDS:
                with LOCK:
                    self._end()
        elif self._is_stalled and now - self._progress_at > STALL_SECONDS:
            with LOCK:
                if self._is_stalled and self.is_open:
                    self._give_up("nothing was read for too long")
        elif self._is_busy:
            pass  # nothing is read meanwhile: the client is not who is slow
        elif self.deadline is not None and now >= self.deadline:
            self.close(frames.UNAUTHENTICATED, "no authentication in time")
        elif now - self._heard_at >= PING_SECONDS:
            self._notice_silence(now)

    def _append(self, data: bytes, count: int = 1) -> None:
        if self._backlog is None:
            self._backlog = deque()
        if not self._backlog:
            self._progress_at = time.monotonic()
        self._backlog.append((data, count))
        self._pending += count
        self._pending_bytes += len(data)
        if self._pending > MOST_PENDING or self._pending_bytes > MOST_PENDING_BYTES:
            self._give_up("too much waits to be read")

    def _give_up(self, reason: str) -> None:
        # A partly written frame has to be completed before the close frame. The others can be dropped: the client
        # connects again with the seq of the last event that it got.
        begun = b""
        if self._offset and self._backlog:
            first = self._backlog[0][0]
            begun = first[self._offset : frames.end_of(first, self._offset)]
        self._drop()
        last = begun + frames.build_close(frames.TRY_AGAIN_LATER, reason)
        self._backlog = deque([(last, 1)])
        self._pending, self._pending_bytes = 1, len(last)
        self._begin_to_close()

    def _begin_to_close(self) -> None:
        self._closing_at = time.monotonic()
        self._note_written()

    def _drop(self) -> None:
        self._backlog = None
        self._offset = self._pending = self._pending_bytes = 0

    def _write(self) -> None:
        """Write the backlog as far as the kernel accepts it. Call with LOCK held, as what follows."""
        while self._backlog and not self._is_stalled and not self._is_over:
            parts: list[bytes | memoryview] = [data for data, _count in islice(self._backlog, _MOST_PARTS)]
            if self._offset:
                parts[0] = memoryview(parts[0])[self._offset :]
            try:
                written = os.writev(self._descriptor, parts)
            except BlockingIOError:
                self._stall()
                return
            except OSError:
                self._end()
                return
            self._progress_at = time.monotonic()
            self._take_off(written)
        if not self._backlog and not self._is_over:
            self._drop()
            self._note_written()
            if self._is_answered:
                self._end()

    def _take_off(self, written: int) -> None:
        """Remove the bytes that were written from the backlog."""
        assert self._backlog is not None
        written += self._offset
        while self._backlog and written >= len(self._backlog[0][0]):
            data, count = self._backlog.popleft()
            written -= len(data)
            self._pending -= count
            self._pending_bytes -= len(data)
        self._offset = written

    def _stall(self) -> None:
        self._is_stalled = True
        self._poll.watch_writable(self._descriptor)

    def _note_written(self) -> None:
        if self._written is not None:
            self._written.set()
            self._written = None

    def _end(self) -> None:
        """Close the socket. Call with LOCK held, so that nobody uses a descriptor that means another file by now."""
        if self._is_over:
            return
        self._is_over = True
        self._drop()
        self._note_written()
        self._poll.remove(self._descriptor)
        os.close(self._descriptor)
        if not self._is_busy:
            self._tell_end()

    def _tell_end(self) -> None:
        if self._listener is not None:
            spawn(self._listener.on_end)

    # Reading

    def on_event(self, events: int) -> None:
        """See Poll."""
        with LOCK:
            if self._is_over:
                return
            if events & WRITABLE and self._is_stalled:
                self._is_stalled = False
                self._write()
            if not events & ~WRITABLE:
                return
            self._is_readable = True
            self._is_ending = self._is_ending or bool(events & ENDING)
            if self._is_busy or self._is_over:
                return
            self._is_busy = True
        if self._receive():
            text = self._message()
            if text is None and not self._is_readable:
                self._next()  # which writes the answers
            else:
                spawn(self._converse, text)

    def _converse(self, text: str | None) -> None:
        """Handle this message and those that follow. text: None if there may be none."""
        assert self._listener is not None
        try:
            while text is not None or (text := self._next()) is not None:
                self._listener.on_message(text)
                text = None  # the next one, if any; `_next` writes the answers once there is none left
        except Exception as error:
            # A bug. This socket ends; the others are served.
            log.error("a socket's message failed", exc_info=error)
            self.close(frames.INTERNAL_ERROR, "internal error")
            self._next()  # what comes while closing is no message

    def _next(self) -> str | None:
        """The client's next message. None if none has arrived: then another thread may read.

        Waits for nothing, but lets other threads run after each chunk of a client that sends without a pause.
        """
        while (text := self._message()) is None:
            self.flush()
            if not self._receive():
                return None
            if self._is_readable:
                time.sleep(0)
        return text

    def _message(self) -> str | None:
        """The next message of what was received. Answers pings and close frames; closes on a protocol error."""
        try:
            return self._parse() if self._buffer else None
        except Refused as refused:
            self._buffer = self._messages = None
            self.close(refused.code, refused.reason)
            return None

    def _receive(self) -> bool:
        """Receive a chunk. False if there is none: then another thread may read."""
        with LOCK:
            chunk = self._read() if self._is_readable and not self._is_over else b""
            if not chunk:
                self._is_busy = False
                if self._is_over:
                    self._tell_end()
                return False
        self._heard_at = time.monotonic()
        self._pinged_at = None
        self._buffer = self._buffer or bytearray()
        self._buffer += chunk
        return True

    def _read(self) -> bytes:
        try:
            chunk = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            self._is_readable = False
            return b""
        except OSError:
            chunk = b""
        # After less than was asked for, there is nothing more until the next report, except the end.
        self._is_readable = self._is_ending or len(chunk) == _READ_BYTES
        self._dropped_bytes += 0 if self.is_open else len(chunk)
        if not chunk or self._dropped_bytes > MOST_DROPPED_BYTES:
            self._end()
            return b""
        return chunk

    def _parse(self) -> str | None:
        assert self._buffer is not None
        while (frame := frames.take_frame(self._buffer)) is not None:
            if not self.is_open:
                # Read and dropped while closing: unread bytes would reset the connection. Above the rate, the rest of
                # what was received is dropped at once, so that much of it costs little.
                if frame.opcode == frames.CLOSE:
                    self._answer()
                else:
                    self._rate.count()
                continue
            self._rate.count()
            if frame.opcode == frames.CLOSE:
                self.close(frames.answer_to_close(frame.payload))
                self._answer()
            elif frame.opcode == frames.PING:
                self.queue(frames.build(frames.PONG, frame.payload))
            elif frame.opcode != frames.PONG:
                messages = self._messages or Messages()
                text = messages.add(frame)
                self._messages = None if frame.is_last else messages
                if text is not None:
                    return text
        self._buffer = self._buffer or None
        return None

    def _answer(self) -> None:
        """End the socket when our close frame is written."""
        with LOCK:
            self._is_answered = True
            if not self._backlog:
                self._end()

    def _notice_silence(self, now: float) -> None:
        pinged_at = self._pinged_at
        if pinged_at is None:
            self._pinged_at = now
            self.queue(frames.build(frames.PING, b""))
            self.flush()
        elif now - pinged_at >= PING_SECONDS:  # since the last message it may be longer: that may have taken long
            self.close(frames.POLICY, "no answer to a ping")
