"""Repeated checks of open sockets: their users must still have access.

Every token is checked at least every CHECK_SECONDS, and at once when the stream reports a change of its user. The
sockets of an invalid token are closed with 4401; subscriptions to a project that the user may no longer see are ended.
While the database is unavailable nothing changes; no new events can be delivered then either.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict

from common.errors import Busy, Unauthenticated
from common.services import events
from common.services.access import Caller
from common.services.people import accounts
from web.websocket import frames
from web.websocket.subscribers import Subscriber
from web.websocket.topics import Topics

CHECK_SECONDS = 3.0
_PAUSE_SECONDS = 0.5
ACCESS_ENDED = "access ended"


class Authority:
    """Checks subscribers from `watch` until `forget`. Thread-safe."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._lock = threading.Lock()
        self._watched: set[Subscriber] = set()
        self._asked = threading.Event()

    def watch(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._watched.add(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._watched.discard(subscriber)

    def ask_again(self, user_id: str) -> None:
        """Check this user's sockets at once."""
        for subscriber in self._snapshot():
            if subscriber.caller.user_id == user_id:
                subscriber.checked_at = 0.0
        self._asked.set()

    def wait(self) -> None:
        """Wait until it is time for the next `check`."""
        self._asked.wait(_PAUSE_SECONDS)
        self._asked.clear()

    def check(self) -> None:
        """Check all subscribers that are due. Busy if the database is unavailable: then they stay due."""
        due: dict[str, list[Subscriber]] = defaultdict(list)
        now = time.monotonic()
        for subscriber in self._snapshot():
            if subscriber.has_expired():
                self._end(subscriber)
            elif now - subscriber.checked_at >= CHECK_SECONDS:
                # Set before the check, so that a request for a check from here on causes another one.
                subscriber.checked_at = now
                due[subscriber.token].append(subscriber)
        try:
            self._check(due)
        except Busy:
            for subscriber in (one for subscribers in due.values() for one in subscribers):
                subscriber.checked_at = 0.0
            raise

    def _check(self, due: dict[str, list[Subscriber]]) -> None:
        by_caller: dict[Caller, list[Subscriber]] = defaultdict(list)
        for token, subscribers in due.items():
            caller = _whose(token)
            for subscriber in subscribers:
                if subscriber.token != token:
                    continue  # it has just sent a new token
                if caller is None:
                    self._end(subscriber)
                else:
                    subscriber.caller = caller
                    by_caller[caller].append(subscriber)
        for caller, subscribers in by_caller.items():
            self._narrow(caller, subscribers)

    def _end(self, subscriber: Subscriber) -> None:
        subscriber.connection.close(frames.UNAUTHENTICATED, "Invalid or expired token")
        self._topics.forget(subscriber)
        self.forget(subscriber)

    def _narrow(self, caller: Caller, subscribers: list[Subscriber]) -> None:
        """End the subscriptions to projects that the caller may no longer see."""
        wanted = {feed_id for one in subscribers for feed_id in (*one.subscriptions, *one.tasks.values())}
        seen = events.visible_among(caller, wanted) if wanted else set()
        for subscriber in subscribers:
            for feed_id in [gone for gone in subscriber.subscriptions if gone in wanted - seen]:
                self._topics.unsubscribe(subscriber, feed_id, ACCESS_ENDED)
            for task_id in [task for task, project in subscriber.tasks.items() if project in wanted - seen]:
                self._topics.unfollow(subscriber, task_id)
            subscriber.connection.flush()
        if any(subscriber.follows_all for subscriber in subscribers):
            visible = events.visible_feeds(caller)
            for subscriber in subscribers:
                subscriber.visible = visible

    def _snapshot(self) -> list[Subscriber]:
        with self._lock:
            return list(self._watched)


def _whose(token: str) -> Caller | None:
    try:
        return accounts.authenticate(token)
    except Unauthenticated:
        return None
