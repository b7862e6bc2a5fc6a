"""Authenticated sockets, their subscriptions, and the topics they subscribe to.

Plain state that the hub changes under its lock. Nothing here reads a database or a stream.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from common import feed
from common.services.access import Caller
from web.websocket import frames
from web.websocket.connection import Connection

EXPIRY_GRACE_SECONDS = 1.0


@dataclass(eq=False)
class Subscription:
    """A socket's subscription to one feed. seq: the last event queued. is_live: gets new events, not a replay."""

    seq: int
    is_live: bool = False


@dataclass(eq=False)
class Subscriber:
    """An authenticated socket.

    token: its token. expires_at: when the token expires (Unix time); None for an API token. follows_all: gets every
    feed in `visible` too (None: every feed). tasks: the project of each followed task. checked_at: when the token was
    last found valid (monotonic); 0 requests a check at once.
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
        """Whether it gets this feed by following all; False if it has a subscription to the feed."""
        return feed_id not in self.subscriptions and (self.visible is None or feed_id in self.visible)

    def has_expired(self) -> bool:
        """Whether the token's own expiry has passed. The check is less strict: it allows for clock differences."""
        return self.expires_at is not None and time.time() > self.expires_at + EXPIRY_GRACE_SECONDS


class Topic:
    """A feed with subscribers. seq: the last event given to its live subscriptions."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.subscribers: dict[Subscriber, Subscription] = {}


class Outgoing:
    """Frames queued for sockets and flushed together: each socket gets one write for many events.

    Leaving the context flushes.
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
            time.sleep(0)  # under gevent, lets other greenlets run during a long fan-out

    def flush(self) -> None:
        for number, connection in enumerate(self._touched, start=1):
            connection.flush()
            if number % 50 == 0:
                time.sleep(0)
        self._touched = {}


def say(event: str, **body: str | int) -> bytes:
    """A message of the server itself, as a frame."""
    return frames.build_text(feed.message(event, body))
