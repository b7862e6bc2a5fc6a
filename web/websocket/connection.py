"""One open WebSocket: reading, writing and closing it. Knows no projects or events.

Frames are queued in one buffer. `flush` writes as much as the kernel accepts without waiting; a thread writes the rest
and ends when the buffer is empty. So a client that does not read delays no other client, and uses at most the buffer's
memory before it is closed. (`simple_websocket`'s own `send` may write half a frame under gevent.) Only the thread that
serves the request reads.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator

from web.websocket import frames
from web.websocket.frames import Refused

MOST_PENDING = 1_000
MOST_PENDING_BYTES = 4 * 2**20
STALL_SECONDS = 8.0
"""How long a client may read nothing while frames are queued for it."""
CLOSE_SECONDS = 2.0
"""How long a client has to read the close frame and answer it."""
PING_SECONDS = 20.0
"""A client that has sent nothing for this long gets a ping; after twice as long it is closed."""
BURST = 120
"""Frames a client may send at once: a login, all its subscriptions and all its follows."""
FRAMES_PER_SECOND = 10.0

_SEND_BUFFER_BYTES = 256 * 1024
_WRITE_BYTES = 256 * 1024


class Connection:
    """A socket after the handshake. deadline: when it is closed (monotonic); None for no deadline."""

    def __init__(self, sock: socket.socket, *, deadline: float | None = None) -> None:
        self.deadline = deadline
        self._sock = sock
        self._lock = threading.Lock()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._is_partial = False  # the first of _pending is the rest of a partly written frame
        self._progress_at = 0.0
        self._writer: threading.Thread | None = None
        self._closing_at: float | None = None
        self._is_over = False
        self._heard_at = time.monotonic()
        self._tokens = float(BURST)
        self._tokens_at = self._heard_at
        with contextlib.suppress(OSError):
            # The kernel's default buffer holds some megabytes for a client that does not read.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        sock.settimeout(PING_SECONDS)  # the file descriptor does not block from here on

    @property
    def is_open(self) -> bool:
        """Whether queued frames can still be delivered."""
        return self._closing_at is None and not self._is_over

    # Writing

    def queue(self, frame: bytes) -> None:
        """Queue a whole frame for the next flush. A client with too many queued frames is closed with 1013."""
        with self._lock:
            if not self.is_open:
                return
            self._append(frame)
            if len(self._pending) > MOST_PENDING or self._pending_bytes > MOST_PENDING_BYTES:
                self._give_up("too much waits to be read")

    def flush(self) -> None:
        """Write queued frames as far as the kernel accepts them at once. Never waits."""
        with self._lock:
            if self._pending and self._writer is None and not self._is_over and not self._write():
                writer = threading.Thread(target=self._write_slowly, name="slow socket", daemon=True)
                writer.start()
                self._writer = writer  # set after its start: another thread may join it

    def wait_until_written(self) -> None:
        """Wait until all queued frames are written, or the socket is closing."""
        while self.is_open and (writer := self._writer) is not None:
            writer.join(0.5)

    def close(self, code: int, reason: str = "") -> None:
        """Queue a close frame. The socket ends when the client answers it, or after CLOSE_SECONDS."""
        with self._lock:
            if self.is_open:
                self._append(frames.build_close(code, reason))
                self._closing_at = time.monotonic()
        self.flush()

    def check(self, now: float) -> None:
        """Enforce the time limits. Call it about once a second with the monotonic time. Never waits."""
        with self._lock:
            overdue = self._closing_at is not None and now - self._closing_at > CLOSE_SECONDS
            if self.is_open and self._writer is not None and now - self._progress_at > STALL_SECONDS:
                self._give_up("nothing was read for too long")
        if overdue:
            self._cut()

    def end(self) -> None:
        """Stop reading and writing. Call it from the reading thread before the socket is closed."""
        if (writer := self._writer) is not None:
            writer.join(CLOSE_SECONDS)
        with self._lock:
            self._is_over = True
            self._pending.clear()
        self._cut()
        if (writer := self._writer) is not None:
            writer.join()

    def _append(self, frame: bytes) -> None:
        if not self._pending:
            self._progress_at = time.monotonic()
        self._pending.append(frame)
        self._pending_bytes += len(frame)

    def _give_up(self, reason: str) -> None:
        # A partly written frame has to be completed before the close frame. The others can be dropped: the client
        # connects again with the seq of the last event that it got.
        begun = self._pending[0] if self._is_partial else None
        self._pending.clear()
        self._pending_bytes = 0
        if begun is not None:
            self._append(begun)
        self._append(frames.build_close(frames.TRY_AGAIN_LATER, reason))
        self._closing_at = time.monotonic()

    def _write(self) -> bool:
        """Write queued frames; False if some are left because the kernel accepts no more. Call with the lock held."""
        while self._pending:
            batch, size = [], 0
            while self._pending and size < _WRITE_BYTES:
                batch.append(self._pending.popleft())
                size += len(batch[-1])
            try:
                # Not the socket's send, which waits under gevent.
                written = os.write(self._sock.fileno(), b"".join(batch))
            except BlockingIOError:
                written = 0
            except OSError:
                self._is_over = True  # the reading thread gets an error too
                self._pending.clear()
                self._pending_bytes = 0
                return True
            self._pending_bytes -= written
            if written:
                self._progress_at = time.monotonic()
            if written < size:
                self._put_back(batch, written)
                return False
            self._is_partial = False
        return True

    def _put_back(self, batch: list[bytes], written: int) -> None:
        done = 0
        while written >= len(batch[done]):
            written -= len(batch[done])
            done += 1
            self._is_partial = False
        self._is_partial = self._is_partial or written > 0
        self._pending.extendleft(reversed(batch[done + 1 :]))
        self._pending.appendleft(batch[done][written:])

    def _write_slowly(self) -> None:
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLOUT)
        while True:
            poll.poll(500)
            with self._lock:
                if self._is_over or self._write():
                    self._writer = None
                    return

    def _cut(self) -> None:
        """Shut the socket down, which ends the reading and the writing thread."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    # Reading

    def messages(self) -> Iterator[str]:
        """The client's messages until the socket ends. Answers pings and close frames; closes on a protocol error."""
        buffer, whole = bytearray(), frames.Messages()
        while chunk := self._receive():
            if not self.is_open:
                if _answers_close(buffer, chunk):
                    return
                continue  # read and dropped while closing: unread bytes would reset the connection
            buffer += chunk
            try:
                while self.is_open and (frame := frames.take(buffer)) is not None:
                    self._count()
                    if frame.opcode == frames.CLOSE:
                        self._answer_close(frame.payload)
                        return
                    if frame.opcode == frames.PING:
                        self.queue(frames.build(frames.PONG, frame.payload))
                    elif frame.opcode != frames.PONG and (text := whole.add(frame)) is not None:
                        yield text
                self.flush()
            except Refused as refused:
                self.close(refused.code, refused.reason)
                buffer.clear()

    def _receive(self) -> bytes:
        """Received bytes; empty when the socket has ended. Pings a silent client and closes it if it stays silent."""
        while True:
            now = time.monotonic()
            if self.deadline is not None and now >= self.deadline:
                self.deadline = None  # applies to a client that sends byte by byte too
                self.close(frames.UNAUTHENTICATED, "no authentication in time")
            until = self._heard_at + PING_SECONDS
            if now >= until:
                until += PING_SECONDS
            if not self.is_open:
                until = now + CLOSE_SECONDS
            elif self.deadline is not None:
                until = min(until, self.deadline)
            try:
                self._sock.settimeout(max(0.01, until - now))
                chunk = self._sock.recv(16 * 1024)
            except TimeoutError:
                self._notice_silence(time.monotonic())
            except OSError:
                return b""
            else:
                self._heard_at = time.monotonic()
                return chunk

    def _notice_silence(self, now: float) -> None:
        if now - self._heard_at >= 2 * PING_SECONDS:
            self.close(frames.POLICY, "no answer to a ping")
        elif now - self._heard_at >= PING_SECONDS:
            self.queue(frames.build(frames.PING, b""))
            self.flush()

    def _count(self) -> None:
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._tokens_at) * FRAMES_PER_SECOND) - 1
        self._tokens_at = now
        if self._tokens < 0:
            raise Refused(frames.POLICY, "too many messages")

    def _answer_close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else frames.NORMAL
        self.close(code if 1000 <= code < 5000 and code not in {1005, 1006, 1015} else frames.PROTOCOL_ERROR)


def _answers_close(buffer: bytearray, chunk: bytes) -> bool:
    """Whether the bytes received while closing contain the client's close frame. Other frames are dropped."""
    buffer += chunk
    try:
        while (frame := frames.take(buffer)) is not None:
            if frame.opcode == frames.CLOSE:
                return True
    except Refused:
        buffer.clear()  # the bytes are no frames: the close times out instead
    return False
