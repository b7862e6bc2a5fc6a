"""Distributes events to sockets, in order and exactly once, from the stream's entries and the database's rows.

A topic stores the last seq that its live subscriptions got. A subscription that is replayed reads rows until it has
caught up with its topic, and then becomes live. Both happen under one lock, so no event is lost in between. If rows
have been purged, the subscriber is told to read the current state (`resync`).

A broadcast is written under the same lock: what the stream brings and what the database brings never overtake each
other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial

from common.errors import Busy
from common.events.feed import Entry
from common.services.activity import events
from common.services.activity.events import StoredEvent
from common.services.requests.access import Caller
from web.websocket import frames
from web.websocket.broadcasts import Broadcast
from web.websocket.connection import Connection
from web.websocket.subscribers import Session, Subscriber, Subscription, Topic, server_frame

_PART_CHARACTERS = 2**19
"""About how much of a replay is queued at once: at most 2 MiB as UTF-8, for which a client's backlog has room."""


class Topics:
    """Every method may be called from any thread; none but `subscribe` waits for a client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[str, Topic] = {}
        self._all_followers: set[Subscriber] = set()
        self._tasks: dict[str, set[Connection]] = {}
        self._people: dict[str, set[Connection]] = {}
        # Counts the times that feeds were added which may be newer than what was read before of who may see which.
        self._additions = 0

    def add_subscriber(self, subscriber: Subscriber) -> None:
        """From now on it gets what is for its user alone."""
        with self._lock:
            self._people.setdefault(subscriber.caller.user_id, set()).add(subscriber.connection)

    def forget(self, subscriber: Subscriber) -> None:
        """End all its subscriptions without a message."""
        with self._lock:
            of_user = self._people.get(subscriber.caller.user_id, set())
            of_user.discard(subscriber.connection)
            if not of_user:
                self._people.pop(subscriber.caller.user_id, None)
            for feed_id in list(subscriber.subscriptions):
                self._unsubscribe(subscriber, feed_id)
            for task_id in list(subscriber.tasks):
                self._unfollow(subscriber, task_id)
            self._unfollow_all(subscriber)

    def subscribe(self, subscriber: Subscriber, feed_id: str, after_seq: int | None) -> None:
        """Queue `subscribed`, then the events after after_seq, then new events. Check the caller's access before.

        Waits for the client to read the replayed events. Raises Busy, with nothing changed, if the database is
        unavailable at the start. If it becomes unavailable during the replay, the socket is closed: it would miss
        events.
        """
        head = self._head_for(feed_id, after_seq)
        with self._lock:
            topic = self._topics.get(feed_id)
            if topic is None:
                # Without a head, the topic's last subscriber has gone since the look: rare enough to wait here.
                newest = events.feed_heads([feed_id]).get(feed_id, 0) if head is None else head
                topic = self._begin_topic(feed_id, newest)
            subscription = self._begin(subscriber, feed_id, topic, after_seq, max(head or 0, topic.seq))
        if subscription is not None:
            self._replay(subscriber, subscription, topic, feed_id)

    def _head_for(self, feed_id: str, after_seq: int | None) -> int | None:
        """The feed's newest seq; None if the topic knows enough: it has all up to its own seq, and gets the rest."""
        topic = self._topics.get(feed_id)
        if topic is not None and (after_seq or 0) <= topic.seq:
            return None
        return events.feed_heads([feed_id]).get(feed_id, 0)

    def _begin_topic(self, feed_id: str, head: int) -> Topic:
        """Add the topic for the feed's first subscription. Busy if the database is unavailable."""
        if not self._all_followers:
            return self._topics.setdefault(feed_id, Topic(head))
        # The feed is newer than the subscriptions to all feeds. They get what has not been delivered of it yet.
        topic, broadcast = self._new_topic(feed_id), Broadcast()
        try:
            self._catch_up(topic, feed_id, head, broadcast)
        finally:
            self._end(broadcast, [feed_id])
        return topic

    def _begin(
        self, subscriber: Subscriber, feed_id: str, topic: Topic, after_seq: int | None, head: int
    ) -> Subscription | None:
        """Queue `subscribed` and place the subscription. Returns it if it needs a replay."""
        if after_seq is None:
            start = topic.seq
            if feed_id not in subscriber.subscriptions:
                topic.place(feed_id, subscriber, Subscription(start, is_live=True))
            elif (present := subscriber.subscriptions[feed_id]) is not None:
                start = present.seq
            subscriber.connection.queue(server_frame("subscribed", projectId=feed_id, seq=start))
            return None
        if after_seq > head:
            subscriber.connection.queue(server_frame("subscribed", projectId=feed_id, seq=topic.seq))
            _resync(subscriber, topic, feed_id, topic.seq)
            return None
        subscription = Subscription(after_seq, is_live=after_seq == topic.seq)
        topic.place(feed_id, subscriber, subscription)
        subscriber.connection.queue(server_frame("subscribed", projectId=feed_id, seq=after_seq))
        return None if subscription.is_live else subscription

    def _replay(self, subscriber: Subscriber, subscription: Subscription, topic: Topic, feed_id: str) -> None:
        """Queue the rows that the subscription has not got, as the client reads them, until it is live or ended."""
        while subscriber.connection.is_open:
            # What comes while the rows are read may be newer than all of them, without a gap.
            known = topic.seq
            try:
                rows = events.events_after(feed_id, subscription.seq, events.PAGE)
            except Busy:
                subscriber.connection.close(frames.TRY_AGAIN_LATER, "the database can't be reached")
                return
            parts = _parts(rows)
            for number, part in enumerate(parts, 1):
                with self._lock:
                    if subscriber.subscriptions.get(feed_id) is not subscription:
                        return
                    has_gap = part[0].seq != subscription.seq + 1 if part else subscription.seq < known
                    if has_gap:
                        _resync(subscriber, topic, feed_id, max(topic.seq, part[-1].seq if part else 0))
                        return
                    if part:
                        subscriber.connection.queue(b"".join([frames.build_text(row.text) for row in part]), len(part))
                        subscription.seq = part[-1].seq
                    has_all = number == len(parts) and len(rows) < events.PAGE
                    subscription.is_live = has_all and subscription.seq >= topic.seq
                    topic.place(feed_id, subscriber, subscription)
                    if subscription.is_live:
                        return
                subscriber.connection.flush()
                subscriber.connection.wait_until_written()

    def follow_all(self, subscriber: Subscriber) -> None:
        """Deliver new events of every feed that its session sees. Busy, with nothing changed, if the database is
        unavailable."""
        heads = None if self._all_followers else events.feed_heads(None)
        with self._lock:
            if self._all_followers:
                heads = {}
            else:
                heads = events.feed_heads(None) if heads is None else heads
                self._additions += 1
            if subscriber.session.additions != self._additions:
                self._see(subscriber.session, events.visible_feeds(subscriber.caller))
            for feed_id, seq in heads.items():
                self._topics.setdefault(feed_id, Topic(seq))
            subscriber.follows_all = True
            self._all_followers.add(subscriber)
            subscriber.connection.queue(server_frame("subscribed"))

    def read_visible(self, session: Session) -> None:
        """Read which feeds the session's caller may see. Busy, with nothing changed, if the database is unavailable.

        What was read when a feed was added is never replaced by what was read before.
        """
        additions, seen = self._additions, events.visible_feeds(session.caller)
        with self._lock:
            self._see(session, seen if additions == self._additions else events.visible_feeds(session.caller))

    def _see(self, session: Session, visible: set[str] | None) -> None:
        session.visible, session.additions = visible, self._additions

    def follow(self, subscriber: Subscriber, task_id: str, project_id: str) -> None:
        with self._lock:
            subscriber.tasks[task_id] = project_id
            self._tasks.setdefault(task_id, set()).add(subscriber.connection)

    def unfollow(self, subscriber: Subscriber, task_id: str) -> None:
        with self._lock:
            self._unfollow(subscriber, task_id)

    def unsubscribe(self, subscriber: Subscriber, feed_id: str, reason: str | None = None) -> None:
        """End the subscription and queue `unsubscribed`. Safe to repeat."""
        with self._lock:
            self._unsubscribe(subscriber, feed_id)
            body = {"projectId": feed_id} if reason is None else {"projectId": feed_id, "reason": reason}
            subscriber.connection.queue(server_frame("unsubscribed", **body))

    def unfollow_all(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._unfollow_all(subscriber)
            subscriber.connection.queue(server_frame("unsubscribed"))

    def _unsubscribe(self, subscriber: Subscriber, feed_id: str) -> None:
        subscriber.subscriptions.pop(feed_id, None)
        topic = self._topics.get(feed_id)
        if topic is not None:
            topic.remove(subscriber)
            self._drop_if_idle(feed_id, topic)

    def _unfollow(self, subscriber: Subscriber, task_id: str) -> None:
        subscriber.tasks.pop(task_id, None)
        followers = self._tasks.get(task_id, set())
        followers.discard(subscriber.connection)
        if not followers:
            self._tasks.pop(task_id, None)

    def _unfollow_all(self, subscriber: Subscriber) -> None:
        subscriber.follows_all = False
        self._all_followers.discard(subscriber)
        if not self._all_followers:
            for feed_id, topic in list(self._topics.items()):
                self._drop_if_idle(feed_id, topic)

    def _drop_if_idle(self, feed_id: str, topic: Topic) -> None:
        if topic.is_idle and not self._all_followers:
            self._topics.pop(feed_id, None)

    # Delivery from the stream and the database

    def deliver(self, batch: list[Entry]) -> bool:
        """Deliver entries of the stream. False if the database was needed and unavailable.

        `deliver_missed` catches up later.
        """
        with self._lock:
            broadcast, is_whole = Broadcast(), True
            for entry in batch:
                try:
                    if entry.kind == "event":
                        self._deliver_event(entry, broadcast)
                    elif entry.kind == "ephemeral":
                        self._deliver_ephemeral(entry, broadcast)
                    elif entry.kind == "person" and (sockets := self._people.get(entry.feed)):
                        broadcast.add(("person", entry.feed), partial(list, sockets), frames.build_text(entry.message))
                except Busy:
                    is_whole = False
                    break  # each further entry might wait as long
            self._end(broadcast, {entry.feed for entry in batch})
        return is_whole

    def _end(self, broadcast: Broadcast, feed_ids: Iterable[str]) -> None:
        """Write the broadcast. Subscriptions that have reached their topic are in step only then: its groups must not
        change before it ends."""
        broadcast.end()
        for feed_id in feed_ids:
            topic = self._topics.get(feed_id)
            if topic is not None and topic.out_of_step:
                for subscriber, subscription in list(topic.out_of_step.items()):
                    topic.place(feed_id, subscriber, subscription)

    def _add(self, broadcast: Broadcast, topic: Topic | None, feed_id: str, frame: bytes) -> None:
        """Add a frame for who is in step with the topic, and who follows all."""

        def members() -> list[Connection]:
            found = [] if topic is None else list(topic.in_step)
            return found + [one.connection for one in self._all_followers if one.receives_by_following_all(feed_id)]

        broadcast.add(feed_id, members, frame)

    def _deliver_event(self, entry: Entry, broadcast: Broadcast) -> None:
        topic = self._topics.get(entry.feed)
        if topic is None:
            if not self._all_followers:
                return
            topic = self._new_topic(entry.feed)
        if entry.seq == topic.seq + 1:
            self._forward(topic, entry.feed, entry.seq, frames.build_text(entry.message), broadcast)
        elif entry.seq > topic.seq:
            self._catch_up(topic, entry.feed, entry.seq, broadcast)

    def _deliver_ephemeral(self, entry: Entry, broadcast: Broadcast) -> None:
        if entry.task_id:
            if followers := self._tasks.get(entry.task_id):
                broadcast.add(("task", entry.task_id), lambda: followers, frames.build_text(entry.message))
            return
        topic = self._topics.get(entry.feed)
        if topic is None and not self._all_followers:
            return
        frame = frames.build_text(entry.message)
        self._add(broadcast, topic, entry.feed, frame)
        for subscriber in topic.out_of_step if topic is not None else ():
            broadcast.add_for(subscriber.connection, frame)

    def _forward(self, topic: Topic, feed_id: str, seq: int, frame: bytes, broadcast: Broadcast) -> None:
        topic.seq = seq
        self._add(broadcast, topic, feed_id, frame)
        for subscriber, subscription in topic.out_of_step.items():
            if subscription.is_live and subscription.seq < seq:
                subscription.seq = seq
                broadcast.add_for(subscriber.connection, frame)

    def _catch_up(self, topic: Topic, feed_id: str, head: int, broadcast: Broadcast) -> None:
        """Deliver the rows up to the head. If some have been purged, tell the subscribers to read the state."""
        while topic.seq < head:
            rows = events.events_after(feed_id, topic.seq, events.PAGE)
            if not rows or rows[0].seq != topic.seq + 1:
                self._resync_topic(topic, feed_id, max(head, rows[-1].seq if rows else 0), broadcast)
                return
            for row in rows:
                self._forward(topic, feed_id, row.seq, frames.build_text(row.text), broadcast)
            self._end(broadcast, [feed_id])

    def _resync_topic(self, topic: Topic, feed_id: str, head: int, broadcast: Broadcast) -> None:
        topic.seq = head
        frame = server_frame("resync", projectId=feed_id, seq=head)
        self._add(broadcast, topic, feed_id, frame)
        for subscriber, subscription in topic.out_of_step.items():
            if subscription.is_live and subscription.seq != head:
                subscription.seq = head
                broadcast.add_for(subscriber.connection, frame)

    def _new_topic(self, feed_id: str) -> Topic:
        """Add a feed that is newer than the subscriptions to all feeds. Busy, with nothing changed."""
        seen: dict[Caller, set[str] | None] = {}
        sessions = {subscriber.session for subscriber in self._all_followers}
        for session in sessions:
            if session.caller not in seen:
                seen[session.caller] = events.visible_feeds(session.caller)
        self._additions += 1
        for session in sessions:
            self._see(session, seen[session.caller])
        return self._topics.setdefault(feed_id, Topic(0))

    def deliver_missed(self) -> bool:
        """Deliver the events in the database that were not delivered yet. Busy if the database is unavailable.

        Returns whether it was asked: not if nobody follows anything.
        """
        with self._lock:
            known = {feed_id: topic.seq for feed_id, topic in self._topics.items()}
            follows_all = bool(self._all_followers)
        if not known and not follows_all:
            return False
        heads = events.feed_heads(None if follows_all else known)
        with self._lock:
            broadcast = Broadcast()
            try:
                for feed_id, head in heads.items():
                    topic = self._topics.get(feed_id)
                    if topic is None and self._all_followers and feed_id not in known:
                        topic = self._new_topic(feed_id)
                    if topic is not None and topic.seq < head:
                        self._catch_up(topic, feed_id, head, broadcast)
                    elif topic is not None and head < known.get(feed_id, 0) == topic.seq:
                        self._resync_topic(topic, feed_id, head, broadcast)  # the database was restored from a backup
            finally:
                self._end(broadcast, heads)
        return True


def _parts(rows: list[StoredEvent]) -> list[list[StoredEvent]]:
    """The rows in parts of _PART_CHARACTERS, or of one row that is longer. One empty part if there are no rows."""
    parts: list[list[StoredEvent]] = [[]]
    size = 0
    for row in rows:
        if parts[-1] and size + len(row.text) > _PART_CHARACTERS:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += len(row.text)
    return parts


def _resync(subscriber: Subscriber, topic: Topic, feed_id: str, seq: int) -> None:
    """Tell the client to read the state, since missed events have been purged; new events follow after seq."""
    topic.place(feed_id, subscriber, Subscription(seq, is_live=True))
    subscriber.connection.queue(server_frame("resync", projectId=feed_id, seq=seq))
