"""How many frames a client may send. Knows no socket."""

from __future__ import annotations

import time

from web.websocket import frames
from web.websocket.frames import Refused

BURST = 120
"""Frames a client may send at once: a login, all its subscriptions and all its follows."""
FRAMES_PER_SECOND = 10.0


class Rate:
    """The frames of one client, counted. The client begins with a full burst."""

    __slots__ = ("_left", "_left_at")

    def __init__(self) -> None:
        self._left = float(BURST)
        self._left_at = time.monotonic()

    def count(self) -> None:
        """Count one frame. Refused if it is one too many; later frames are counted all the same."""
        now = time.monotonic()
        self._left = min(float(BURST), self._left + (now - self._left_at) * FRAMES_PER_SECOND) - 1
        self._left_at = now
        if self._left < 0:
            raise Refused(frames.POLICY, "too many messages")
