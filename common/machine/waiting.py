"""Deadlines, and delays between tries."""

from __future__ import annotations

import select
import time


class Deadline:
    """A time on the monotonic clock, `seconds` after the object was created."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._at

    @property
    def left_seconds(self) -> float:
        """The remaining time; 0 once it is over."""
        return max(0.0, self._at - time.monotonic())


def growing_delay(failures: int, *, first_seconds: float, longest_seconds: float) -> float:
    """The delay after this many failures in a row: first_seconds, doubled for each further one, up to longest_seconds.

    failures: from 1. Callers that share a server with many others wait a random part of it (full jitter).
    """
    return min(longest_seconds, first_seconds * 2.0 ** min(failures - 1, 30))


def wait_readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read, or the other side has closed. False: not within this time.

    For any descriptor: select(2) takes those below 1024 alone, and a process with many connections has greater ones.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
