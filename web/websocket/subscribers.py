"""Who listens to what: an authenticated socket, its subscriptions, and the topics that they hang on.

Plain state, changed by the hub under its lock; nothing here reads a database or a stream.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from common import feed
from common.services.access import Caller
from web.websocket import frames
from web.websocket.connection import Connection

EXPIRY_GRACE_SECONDS = 1.0


@dataclass(eq=False)
class Subscription:
    """One feed of one socket. seq: the last event queued for it. is_live: follows the topic, not a replay."""

    seq: int
    is_live: bool = False


@dataclass(eq=False)
class Subscriber:
    """An authenticated socket.

    token: what it came by; expires_at: when that ends (Unix time), None where only the check tells. follows_all: also
    every feed of visible (None: all there are). tasks: each followed task's project. checked_at: when the token was
    last found good (monotonic); 0 asks for a check at once.
    """

    connection: Connection
    caller: Caller
    token: str
    expires_at: float | None
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    follows_all: bool = False
    visible: set[str] | None = field(default_factory=set)
    checked_at: float = field(default_factory=time.monotonic)

    def hears_by_all(self, feed_id: str) -> bool:
        """Whether `subscribe` without a project brings it this feed; a subscription of its own goes first."""
        return feed_id not in self.subscriptions and (self.visible is None or feed_id in self.visible)

    def has_expired(self) -> bool:
        """By the token's own words, sharper than the check, which is lenient with clocks."""
        return self.expires_at is not None and time.time() > self.expires_at + EXPIRY_GRACE_SECONDS


class Topic:
    """A feed that somebody listens to. seq: the last event given to its live subscriptions."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.subscribers: dict[Subscriber, Subscription] = {}


class Outgoing:
    """Frames queued for sockets and not flushed yet, so that each socket gets one write for many events.

    Leaving it flushes.
    """

    def __init__(self) -> None:
        self._touched: dict[Connection, None] = {}
        self._count = 0

    def __enter__(self) -> Outgoing:
        return self

    def __exit__(self, *_error: object) -> None:
        self.flush()

    def queue(self, subscriber: Subscriber, frame: bytes) -> None:
        subscriber.connection.queue(frame)
        self._touched[subscriber.connection] = None
        self._count += 1
        if self._count % 1_000 == 0:
            time.sleep(0)  # under gevent everybody else gets a turn in a long fan-out

    def flush(self) -> None:
        for number, connection in enumerate(self._touched, start=1):
            connection.flush()
            if number % 50 == 0:
                time.sleep(0)
        self._touched = {}


def say(event: str, **body: Any) -> bytes:
    """A message of the server's own as a frame."""
    return frames.build_text(feed.message(event, body))
