"""Copies the output of programs to their sinks, in a limited share of the time of the supervisor's event loop.

A sink masks and stores in the loop that also forwards all apps' traffic. A program that prints faster than its share
allows finds its pipe full and waits; nothing of what it prints is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
import time
from collections.abc import Callable

from workers.supervisor.units.logs import Sink

LOOP_SHARE = 0.25
"""The part of the loop's time that all copies together may take while they have output to copy."""
CHUNK_BYTES = 4096
"""Copied before the loop serves others. Masking this much takes about half a millisecond, at worst a few."""
LEAST_PAUSE_SECONDS = 0.005
"""Shorter pauses are added up first: a timer is a millisecond late, which is longer than a chunk of most programs."""
SETTLE_SECONDS = 10.0


class LoopShare:
    """Divides LOOP_SHARE among the outputs of one supervisor, by time. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.turn = asyncio.Lock()
        """Held while a chunk is copied, and until the loop has served others."""
        self.busy = 0
        """How many outputs have something to copy, or pause before they look."""

    def seconds_for(self, took: float) -> float:
        """The time from the beginning of a chunk that took so many seconds until its output may copy the next one."""
        return took * self.busy / LOOP_SHARE


class Output:
    """Copies from the reading end of a program's pipe, which it closes, to a sink. It begins at once."""

    def __init__(self, descriptor: int, sink: Sink, share: LoopShare) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._sink = sink
        self._share = share
        self._is_busy = False
        self._next_at = 0.0
        self._hurried_bytes = 0
        self._hurry = asyncio.Event()
        self._settled = asyncio.Event()
        self.copying = asyncio.create_task(self._copy())
        """Ends when the other end of the pipe is closed and all is copied, or when it is cancelled."""

    async def settle(self) -> None:
        """Copy what is in the pipe now without pauses, and return when the sink has it, at most after SETTLE_SECONDS.

        For the end of a program: a process that it left behind may hold the pipe and print for ever.
        """
        if self.copying.done():
            return
        present = _bytes_in(self._descriptor)
        if not present and not self._is_busy:
            return
        # One more: without a pause it also looks whether that was the end of the output.
        self._hurried_bytes = present + 1
        self._settled.clear()
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._settled.wait()

    async def _copy(self) -> None:
        try:
            while await self._copy_present():
                await _readable(self._descriptor)
        finally:
            self._settled.set()
            self._sink.end()
            os.close(self._descriptor)

    async def _copy_present(self) -> bool:
        """Copy until the pipe is empty. False: its other end is closed."""
        self._is_busy = True
        self._share.busy += 1
        try:
            while True:
                async with self._share.turn:
                    began = self._share.clock()
                    try:
                        chunk = os.read(self._descriptor, CHUNK_BYTES)
                    except BlockingIOError:
                        self._count(self._hurried_bytes)
                        return True
                    if not chunk:
                        return False
                    self._sink.write(chunk)
                    took = self._share.clock() - began
                    self._next_at = max(self._next_at, began) + self._share.seconds_for(took)
                    self._count(len(chunk))
                    await asyncio.sleep(0)
                await self._pause(self._next_at - self._share.clock())
        finally:
            self._share.busy -= 1
            self._is_busy = False

    def _count(self, copied: int) -> None:
        """Note that so much of the bytes that `settle` waits for is copied."""
        self._hurried_bytes = max(0, self._hurried_bytes - copied)
        if not self._hurried_bytes:
            self._hurry.clear()
            self._settled.set()

    async def _pause(self, seconds: float) -> None:
        if seconds < LEAST_PAUSE_SECONDS:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()


def _bytes_in(pipe: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, struct.pack("i", 0)))
    return int(count)


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read, or the other end is closed."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
