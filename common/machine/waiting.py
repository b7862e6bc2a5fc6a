"""Waiting: until when, and how long between two tries."""

from __future__ import annotations

import time


class Deadline:
    """A moment on the monotonic clock, so many seconds after it was made."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._at

    @property
    def left_seconds(self) -> float:
        """How long it still is; 0 once it is over."""
        return max(0.0, self._at - time.monotonic())


def growing_delay(failures: int, *, first_seconds: float, longest_seconds: float) -> float:
    """How long to wait after so many failures in a row: first_seconds after one, doubled by each more, with a bound.

    failures: from 1. Callers that many others share a server with draw a random part of it (full jitter).
    """
    return min(longest_seconds, first_seconds * 2.0 ** min(failures - 1, 30))
