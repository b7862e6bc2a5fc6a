"""Distributes events to sockets, in order and exactly once, from the stream's entries and the database's rows.

A topic stores the last seq that its live subscriptions got. A subscription that is replayed reads rows until it has
caught up with its topic, and then becomes live. Both happen under one lock, so no event is lost in between. If rows
have been purged, the subscriber is told to read the current state (`resync`).
"""

from __future__ import annotations

import threading

from common.errors import Busy
from common.feed import Entry
from common.services import events
from common.services.access import Caller
from web.websocket import frames
from web.websocket.subscribers import Outgoing, Subscriber, Subscription, Topic, say


class Topics:
    """Every method may be called from any thread; none but `subscribe` waits for a client."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._topics: dict[str, Topic] = {}
        self._all_followers: set[Subscriber] = set()
        self._tasks: dict[str, set[Subscriber]] = {}

    def forget(self, subscriber: Subscriber) -> None:
        """End all its subscriptions without a message."""
        with self._turn:
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
        head = events.feed_heads([feed_id]).get(feed_id, 0)
        with self._turn:
            topic = self._topics.setdefault(feed_id, Topic(head))
            subscription = subscriber.subscriptions.get(feed_id)
            if subscription is None or after_seq is not None:
                subscription = Subscription(topic.seq if after_seq is None else after_seq, is_live=after_seq is None)
            subscriber.subscriptions[feed_id] = topic.subscribers[subscriber] = subscription
            is_ahead = subscription.seq > max(head, topic.seq)
            start = topic.seq if is_ahead else subscription.seq
            subscriber.connection.queue(say("subscribed", projectId=feed_id, seq=start))
            if is_ahead:
                _resync(subscriber, subscription, feed_id, topic.seq)
        while self._replay_page(subscriber, subscription, topic, feed_id):
            subscriber.connection.flush()
            subscriber.connection.wait_until_written()

    def _replay_page(self, subscriber: Subscriber, subscription: Subscription, topic: Topic, feed_id: str) -> bool:
        """Queue the next rows, or make the subscription live. False when there is nothing more to replay."""
        if subscription.is_live or not subscriber.connection.is_open:
            return False
        try:
            rows = events.events_after(feed_id, subscription.seq, events.PAGE)
        except Busy:
            subscriber.connection.close(frames.TRY_AGAIN_LATER, "the database can't be reached")
            return False
        with self._turn:
            if subscriber.subscriptions.get(feed_id) is not subscription:
                return False
            has_gap = rows[0].seq != subscription.seq + 1 if rows else subscription.seq < topic.seq
            if has_gap:
                _resync(subscriber, subscription, feed_id, max(topic.seq, rows[-1].seq if rows else 0))
                return False
            for row in rows:
                subscriber.connection.queue(frames.build_text(row.text))
                subscription.seq = row.seq
            subscription.is_live = subscription.seq >= topic.seq and len(rows) < events.PAGE
            return not subscription.is_live

    def follow_all(self, subscriber: Subscriber) -> None:
        """Deliver new events of every feed that the caller may see. Busy, with nothing changed, if the database is
        unavailable."""
        heads, visible = events.feed_heads(None), events.visible_feeds(subscriber.caller)
        with self._turn:
            if not self._all_followers:
                for feed_id, seq in heads.items():
                    self._topics.setdefault(feed_id, Topic(seq))
            subscriber.follows_all, subscriber.visible = True, visible
            self._all_followers.add(subscriber)
            subscriber.connection.queue(say("subscribed"))

    def follow(self, subscriber: Subscriber, task_id: str, project_id: str) -> None:
        with self._turn:
            subscriber.tasks[task_id] = project_id
            self._tasks.setdefault(task_id, set()).add(subscriber)

    def unfollow(self, subscriber: Subscriber, task_id: str) -> None:
        with self._turn:
            self._unfollow(subscriber, task_id)

    def unsubscribe(self, subscriber: Subscriber, feed_id: str, reason: str | None = None) -> None:
        """End the subscription and queue `unsubscribed`. Safe to repeat."""
        with self._turn:
            self._unsubscribe(subscriber, feed_id)
            body = {"projectId": feed_id} if reason is None else {"projectId": feed_id, "reason": reason}
            subscriber.connection.queue(say("unsubscribed", **body))

    def unfollow_all(self, subscriber: Subscriber) -> None:
        with self._turn:
            self._unfollow_all(subscriber)
            subscriber.connection.queue(say("unsubscribed"))

    def _unsubscribe(self, subscriber: Subscriber, feed_id: str) -> None:
        subscriber.subscriptions.pop(feed_id, None)
        topic = self._topics.get(feed_id)
        if topic is not None:
            topic.subscribers.pop(subscriber, None)
            self._drop_if_idle(feed_id, topic)

    def _unfollow(self, subscriber: Subscriber, task_id: str) -> None:
        subscriber.tasks.pop(task_id, None)
        followers = self._tasks.get(task_id, set())
        followers.discard(subscriber)
        if not followers:
            self._tasks.pop(task_id, None)

    def _unfollow_all(self, subscriber: Subscriber) -> None:
        subscriber.follows_all = False
        self._all_followers.discard(subscriber)
        if not self._all_followers:
            for feed_id, topic in list(self._topics.items()):
                self._drop_if_idle(feed_id, topic)

    def _drop_if_idle(self, feed_id: str, topic: Topic) -> None:
        if not topic.subscribers and not self._all_followers:
            self._topics.pop(feed_id, None)

    # Delivery from the stream and the database

    def deliver(self, batch: list[Entry]) -> bool:
        """Deliver entries of the stream. False if the database was needed and unavailable: `look` catches up later."""
        with Outgoing() as outgoing, self._turn:
            for entry in batch:
                try:
                    if entry.kind == "event":
                        self._deliver_event(entry, outgoing)
                    elif entry.kind == "ephemeral":
                        self._deliver_ephemeral(entry, outgoing)
                except Busy:
                    return False  # stop here: each further entry might wait as long
        return True

    def _deliver_event(self, entry: Entry, outgoing: Outgoing) -> None:
        topic = self._topics.get(entry.feed)
        if topic is None:
            if not self._all_followers:
                return
            topic = self._new_topic(entry.feed)
        if entry.seq == topic.seq + 1:
            self._hand_on(topic, entry.feed, entry.seq, frames.build_text(entry.message), outgoing)
        elif entry.seq > topic.seq:
            self._catch_up(topic, entry.feed, entry.seq, outgoing)

    def _deliver_ephemeral(self, entry: Entry, outgoing: Outgoing) -> None:
        if entry.task_id:
            hearers = list(self._tasks.get(entry.task_id, ()))
        else:
            topic = self._topics.get(entry.feed)
            hearers = [] if topic is None else list(topic.subscribers)
            hearers += [one for one in self._all_followers if one.hears_by_all(entry.feed)]
        if hearers:
            frame = frames.build_text(entry.message)
            for subscriber in hearers:
                outgoing.queue(subscriber, frame)

    def _hand_on(self, topic: Topic, feed_id: str, seq: int, frame: bytes, outgoing: Outgoing) -> None:
        topic.seq = seq
        for subscriber, subscription in topic.subscribers.items():
            if subscription.is_live and subscription.seq < seq:
                subscription.seq = seq
                outgoing.queue(subscriber, frame)
        for subscriber in self._all_followers:
            if subscriber.hears_by_all(feed_id):
                outgoing.queue(subscriber, frame)

    def _catch_up(self, topic: Topic, feed_id: str, head: int, outgoing: Outgoing) -> None:
        """Deliver the rows up to the head. If some have been purged, tell the subscribers to read the state."""
        while topic.seq < head:
            rows = events.events_after(feed_id, topic.seq, events.PAGE)
            if not rows or rows[0].seq != topic.seq + 1:
                self._start_anew(topic, feed_id, max(head, rows[-1].seq if rows else 0), outgoing)
                return
            for row in rows:
                self._hand_on(topic, feed_id, row.seq, frames.build_text(row.text), outgoing)
            outgoing.flush()

    def _start_anew(self, topic: Topic, feed_id: str, head: int, outgoing: Outgoing) -> None:
        topic.seq = head
        for subscriber, subscription in topic.subscribers.items():
            if subscription.is_live and subscription.seq != head:
                subscription.seq = head
                outgoing.queue(subscriber, say("resync", projectId=feed_id, seq=head))
        for subscriber in self._all_followers:
            if subscriber.hears_by_all(feed_id):
                outgoing.queue(subscriber, say("resync", projectId=feed_id, seq=head))

    def _new_topic(self, feed_id: str) -> Topic:
        """Add a feed that is newer than the subscriptions to all feeds. Busy, with nothing changed."""
        seen: dict[Caller, set[str] | None] = {}
        for subscriber in self._all_followers:
            if subscriber.caller not in seen:
                seen[subscriber.caller] = events.visible_feeds(subscriber.caller)
        for subscriber in self._all_followers:
            subscriber.visible = seen[subscriber.caller]
        return self._topics.setdefault(feed_id, Topic(0))

    def look(self) -> None:
        """Deliver the events in the database that were not delivered yet. Busy if the database is unavailable."""
        with self._turn:
            known = {feed_id: topic.seq for feed_id, topic in self._topics.items()}
            follows_all = bool(self._all_followers)
        if not known and not follows_all:
            return
        heads = events.feed_heads(None if follows_all else known)
        with Outgoing() as outgoing, self._turn:
            for feed_id, head in heads.items():
                topic = self._topics.get(feed_id)
                if topic is None and self._all_followers and feed_id not in known:
                    topic = self._new_topic(feed_id)
                if topic is not None and topic.seq < head:
                    self._catch_up(topic, feed_id, head, outgoing)
                elif topic is not None and head < known.get(feed_id, 0) == topic.seq:
                    self._start_anew(topic, feed_id, head, outgoing)  # the database was restored from a backup


def _resync(subscriber: Subscriber, subscription: Subscription, feed_id: str, seq: int) -> None:
    """Tell the client to read the state, since missed events have been purged; new events follow after seq."""
    subscription.seq, subscription.is_live = seq, True
    subscriber.connection.queue(say("resync", projectId=feed_id, seq=seq))
