"""Who may receive which events: the sessions of open sockets, and the repeated checks that they still have access.

Every token is checked at least every CHECK_SECONDS, and at once when the stream reports a change of its user. The
sockets of an invalid token are closed with 4401; subscriptions to a project that the user may no longer see are ended.
While the database is unavailable nothing changes; no new events can be delivered then either.

Which projects the caller may see is read for one socket and serves the next socket of the same token: until the stream
reports a change of the user or the project, for at most CHECK_SECONDS, and only while the stream can be read. So it is
never older than what open sockets rely on.
"""

from __future__ import annotations

import threading
import time

import jwt

from common.errors import Busy, NotFound, Unauthenticated
from common.services.activity import events
from common.services.people import accounts
from common.services.people.tokens import API_TOKEN_PREFIX
from web.websocket import frames
from web.websocket.subscribers import Session, Subscriber
from web.websocket.topics import Topics

CHECK_SECONDS = 3.0
_PAUSE_SECONDS = 0.5
"""Checks are this much apart. So one comes before what was read at the one before has become too old to be used."""
ACCESS_ENDED = "access ended"


class Authority:
    """Checks subscribers from `watch` until `forget`. Thread-safe. is_stream_read: whether changes are reported."""

    def __init__(self, topics: Topics) -> None:
        self.is_stream_read = False
        self._topics = topics
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._changes = 0  # what was read before a change that came meanwhile must not be remembered
        self._asked = threading.Event()

    # What a socket asks for

    def admit(self, token: str) -> Session:
        """The session of a token. Unauthenticated if it is invalid, Busy if the database is unavailable.

        The database is asked for every socket, as for every request: a token that was ended is refused at once.
        """
        changes, began = self._changes, time.monotonic()
        caller, session = accounts.authenticate(token), self._sessions.get(token)
        expires_at = _expiry(token) if session is None else session.expires_at
        if expires_at is not None and expires_at <= time.time():
            raise Unauthenticated
        with self._lock:
            session = self._sessions.setdefault(token, Session(token, caller, expires_at, began))
            session.caller = caller
            if not session.subscribers:  # else its next check must not be put off: it is more than this
                session.checked_at = began if changes == self._changes else 0.0
        return session

    def require_feed(self, session: Session, feed_id: str) -> None:
        """NotFound if the feed does not exist or the caller may not follow it. Busy as `admit`."""
        if self._is_fresh(session.granted.get(feed_id, 0.0)):
            return
        changes, began = self._changes, time.monotonic()
        if feed_id not in events.visible_among(session.caller, [feed_id]):
            raise NotFound(f"project {feed_id}")
        if changes == self._changes:
            session.granted[feed_id] = began

    def read_visible(self, session: Session) -> None:
        """Have the session know which feeds are visible. Busy as `admit`."""
        if self._is_fresh(session.visible_at):
            return
        changes, began = self._changes, time.monotonic()
        self._topics.read_visible(session)
        session.visible_at = began if changes == self._changes else 0.0

    def watch(self, subscriber: Subscriber) -> None:
        with self._lock:
            # Another session of the token takes its place if this one was dropped meanwhile.
            session = self._sessions.setdefault(subscriber.session.token, subscriber.session)
            subscriber.session = session
            session.subscribers.add(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        with self._lock:
            subscriber.session.subscribers.discard(subscriber)

    def renew(self, subscriber: Subscriber, session: Session) -> None:
        """Give the subscriber a session of another token of the same user; its subscriptions are checked soon."""
        before = subscriber.session
        self.forget(subscriber)
        with self._lock:
            if session.visible_at == 0.0:
                session.visible, session.additions = before.visible, before.additions
            session.checked_at = 0.0
            subscriber.session = session
        self.watch(subscriber)

    def _is_fresh(self, read_at: float) -> bool:
        return self.is_stream_read and time.monotonic() - read_at < CHECK_SECONDS

    # What the stream reports

    def recheck_user(self, user_id: str) -> None:
        """Forget what was read of this user, and check the user's sockets at once."""
        with self._lock:
            self._changes += 1
            for session in self._sessions.values():
                if session.caller.user_id == user_id:
                    session.checked_at = session.visible_at = 0.0
                    session.granted.clear()
        self._asked.set()

    def forget_feed(self, feed_id: str) -> None:
        """Forget who may follow this project: it has changed, perhaps to a restricted one."""
        with self._lock:
            self._changes += 1
            for session in self._sessions.values():
                session.visible_at = 0.0
                session.granted.pop(feed_id, None)

    # The checks

    def wait(self) -> None:
        """Wait until it is time for the next `check`."""
        self._asked.wait(_PAUSE_SECONDS)
        self._asked.clear()

    def check(self) -> bool:
        """Check all sessions that are due. Busy if the database is unavailable: then they stay due.

        Returns whether it was asked: not if none is.
        """
        due = self._take_due()
        try:
            for session in due:
                self._check(session)
        except Busy:
            for session in due:
                session.checked_at = 0.0
            raise
        return bool(due)

    def _take_due(self) -> list[Session]:
        now = time.monotonic()
        due, expired = [], []
        with self._lock:
            for session in list(self._sessions.values()):
                if session.has_expired():
                    expired.append(session)
                elif now - session.checked_at >= CHECK_SECONDS - _PAUSE_SECONDS:
                    if session.subscribers:
                        # Set before the check, so that a request for a check from here on causes another one.
                        session.checked_at = now
                        due.append(session)
                    else:
                        del self._sessions[session.token]
        for session in expired:
            self._end(session)
        return due

    def _check(self, session: Session) -> None:
        try:
            session.caller = accounts.authenticate(session.token)
        except Unauthenticated:
            self._end(session)
        else:
            self._narrow(session)

    def _end(self, session: Session) -> None:
        with self._lock:
            session.checked_at = 0.0
            self._sessions.pop(session.token, None)
            on_end = list(session.subscribers)
            session.subscribers.clear()
        for subscriber in on_end:
            subscriber.connection.close(frames.UNAUTHENTICATED, "Invalid or expired token")
            self._topics.forget(subscriber)

    def _narrow(self, session: Session) -> None:
        """End the subscriptions to projects that the caller may no longer see."""
        changes, began = self._changes, time.monotonic()
        with self._lock:
            subscribers = list(session.subscribers)
        wanted = {feed_id for one in subscribers for feed_id in (*one.subscriptions, *one.tasks.values())}
        seen = events.visible_among(session.caller, wanted) if wanted else set()
        if changes == self._changes:
            session.granted = dict.fromkeys(seen, began)
        gone = wanted - seen
        for subscriber in subscribers if gone else ():
            for feed_id in [feed_id for feed_id in subscriber.subscriptions if feed_id in gone]:
                self._topics.unsubscribe(subscriber, feed_id, ACCESS_ENDED)
            for task_id in [task for task, project in subscriber.tasks.items() if project in gone]:
                self._topics.unfollow(subscriber, task_id)
            subscriber.connection.flush()
        if any(subscriber.follows_all for subscriber in subscribers):
            session.visible_at = 0.0
            self.read_visible(session)


def _expiry(token: str) -> float | None:
    """When a login's token, verified before, expires (Unix time); None for an API token."""
    if token.startswith(API_TOKEN_PREFIX):
        return None
    return float(jwt.decode(token, options={"verify_signature": False})["exp"])
