"""Authenticated sockets, the sessions that they share, their subscriptions, and the topics that they subscribe to.

Plain state that the hub changes under its locks. Nothing here reads a database or a stream.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from common.events import feed
from common.services.requests.access import Caller
from web.websocket import frames
from web.websocket.connection import Connection

EXPIRY_GRACE_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class Subscription:
    """A socket's subscription to one feed. seq: the last event queued. is_live: gets new events, not a replay."""

    seq: int
    is_live: bool = False


@dataclass(eq=False, slots=True)
class Session:
    """A valid token, and what its caller was last found to be allowed. All sockets with the token share it.

    expires_at: when the token expires (Unix time); None for an API token. checked_at: when the token was last found
    valid (monotonic); 0 requests a check at once. granted: feeds that the caller may follow → when that was read.
    visible: all of them (None: every feed), which is read only for sockets that follow everything. visible_at: when.
    additions: the topics' count of additions when `visible` was read; -1: it was not.
    """

    token: str
    caller: Caller
    expires_at: float | None
    checked_at: float
    subscribers: set[Subscriber] = field(default_factory=set)
    granted: dict[str, float] = field(default_factory=dict)
    visible: set[str] | None = field(default_factory=set)
    visible_at: float = 0.0
    additions: int = -1

    def has_expired(self) -> bool:
        """Whether the token's own expiry has passed. The check is less strict: it allows for clock differences."""
        return self.expires_at is not None and time.time() > self.expires_at + EXPIRY_GRACE_SECONDS


@dataclass(eq=False, slots=True)
class Subscriber:
    """An authenticated socket.

    subscriptions: by feed; None: it has all that its topic has, and gets the next. tasks: the project of each followed
    task. follows_all: gets every feed that is visible for its session too.
    """

    connection: Connection
    session: Session
    subscriptions: dict[str, Subscription | None] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    follows_all: bool = False

    @property
    def caller(self) -> Caller:
        return self.session.caller

    def receives_by_following_all(self, feed_id: str) -> bool:
        """Whether it gets this feed by following all; False if it has a subscription to the feed."""
        visible = self.session.visible
        return feed_id not in self.subscriptions and (visible is None or feed_id in visible)


class Topic:
    """A feed with subscribers. seq: the last event given to its live subscriptions.

    in_step: the sockets that have all events up to seq. out_of_step: the others: replayed now, or already past seq.
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.in_step: set[Connection] = set()
        self.out_of_step: dict[Subscriber, Subscription] = {}

    def place(self, feed_id: str, subscriber: Subscriber, subscription: Subscription) -> None:
        """Add the subscriber, or note how far its subscription is now."""
        if subscription.is_live and subscription.seq == self.seq:
            self.out_of_step.pop(subscriber, None)
            self.in_step.add(subscriber.connection)
            subscriber.subscriptions[feed_id] = None
        else:
            self.in_step.discard(subscriber.connection)
            self.out_of_step[subscriber] = subscriber.subscriptions[feed_id] = subscription

    def remove(self, subscriber: Subscriber) -> None:
        self.in_step.discard(subscriber.connection)
        self.out_of_step.pop(subscriber, None)

    @property
    def is_idle(self) -> bool:
        """Whether it has no subscribers."""
        return not self.in_step and not self.out_of_step


def server_frame(event: str, **body: str | int) -> bytes:
    """A message of the server itself, as a frame."""
    return frames.build_text(feed.message(event, body))
