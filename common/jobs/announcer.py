"""One background thread per process that sends job messages to Celery and publishes committed events to Redis.

It reads from a bounded queue; announcements beyond its size are dropped. A frozen or absent Redis therefore delays no
request. Nothing is lost either: the sweep sends the messages of due jobs again, and stream readers query the database.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import structlog

from common.events import feed
from common.jobs import broker
from common.jobs.catalogue import Queue
from common.machine.lazy_modules import lazy_module

if TYPE_CHECKING:
    import redis
else:
    redis = lazy_module("redis")

log = structlog.get_logger()

MOST_ENTRIES = 200
"""Most entries published in one round trip."""
LONGEST_DELAY_SECONDS = 6.0
"""Job messages with a longer delay are not sent from here: the sweep, which comes every 5 s, sends them when the job is
due.
"""


@dataclass
class Announcement:
    """Messages to other processes.

    job_messages: job messages as (delay in seconds, kind, job id). early_job_messages: those sent before the commit,
    without a delay, as (kind, job id). entries: stream entries, in order.
    """

    job_messages: list[tuple[float, str, str]] = field(default_factory=list)
    early_job_messages: list[tuple[str, str]] = field(default_factory=list)
    entries: list[feed.Entry] = field(default_factory=list)

    @property
    def is_awaited(self) -> bool:
        """Whether a worker or an agent waits for it. For early job messages nobody does before the commit."""
        return bool(self.job_messages) or any(entry.kind == "wake" for entry in self.entries)

    def wake_worker(self, kind: str, job_id: str, after_seconds: float = 0) -> None:
        """Have a worker try to claim the job after after_seconds."""
        self.job_messages.append((after_seconds, kind, job_id))

    def take_due_job_messages(self) -> Announcement:
        """Remove the job messages without a delay, and return them as early ones."""
        due = [(kind, job_id) for delay, kind, job_id in self.job_messages if delay <= 0]
        self.job_messages = [message for message in self.job_messages if message[0] > 0]
        return Announcement(early_job_messages=due)

    def notify(self, project_id: str, event: str, body: Mapping[str, object], *, task_id: str = "") -> None:
        """Send an ephemeral message to the followers of the task, or of the project if there is no task."""
        text = feed.message(event, body, projectId=project_id)
        self.entries.append(feed.Entry("ephemeral", project_id, text, task_id=task_id))

    def notify_person(self, user_id: str, event: str, body: Mapping[str, object]) -> None:
        """Send an ephemeral message to all sockets of this user, and to nobody else."""
        self.entries.append(feed.Entry("person", user_id, feed.message(event, body)))

    def wake(self, key: str) -> None:
        """Wake the long polls that wait for `key`."""
        self.entries.append(feed.Entry("wake", key))

    def access_changed(self, user_id: str) -> None:
        """Have the access of this user's open sockets checked again."""
        self.entries.append(feed.Entry("access", user_id))


class Announcer:
    """Starts its thread at the first announcement. A forked child gets its own announcer (see `announcer`)."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Announcement] = queue.Queue(maxsize=10_000)
        self._later: list[tuple[float, int, str, str]] = []
        self._order = itertools.count()
        self._idle = threading.Event()
        self._idle.set()
        self._counting = threading.Lock()
        self._is_redis_up = True
        self._thread: threading.Thread | None = None
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()

    def announce(self, announcement: Announcement) -> None:
        """Queue the announcement and return at once; it is dropped if the queue is full. Safe from any thread."""
        if not (announcement.job_messages or announcement.early_job_messages or announcement.entries):
            return
        try:
            with self._counting:
                self._idle.clear()
                self._queue.put_nowait(announcement)
        except queue.Full:
            return
        # Not without the lock: the thread that `stop` is ending would not read this announcement.
        with self._lock:
            if self._thread is None:
                # Loads the library here: a process whose exit stops a thread amid an import waits for that forever.
                feed.client()
                self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
                self._thread.start()
        if announcement.is_awaited:
            # Let the thread send it now: this one goes on writing a reply, or ends a job, which takes a millisecond.
            time.sleep(0)

    def flush(self, seconds: float) -> bool:
        """Wait until every announcement was tried, except delayed job messages. Returns False after `seconds`."""
        return self._idle.wait(seconds)

    def stop(self, seconds: float) -> bool:
        """Try every announcement, except delayed job messages, and end the thread. Safe to repeat.

        Returns False if that takes longer than `seconds`. A later announcement starts the thread again.
        """
        with self._lock:
            if self._thread is None:
                return True
            self._is_stopping.set()
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(Announcement())
            self._thread.join(seconds)
            if self._thread.is_alive():
                return False
            self._thread = None
            self._is_stopping.clear()
            return True

    def _run(self) -> None:
        while True:
            timeout = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            try:
                announcement = self._gathered(self._queue.get(timeout=timeout))
            except queue.Empty:
                announcement = Announcement()
            self._try(announcement)
            # Together: what is announced in between would be taken for tried.
            with self._counting:
                is_done = self._queue.empty()
                if is_done:
                    self._idle.set()
            if is_done and self._is_stopping.is_set():
                return

    def _gathered(self, first: Announcement) -> Announcement:
        """Merge `first` with the queued announcements: one round trip for all entries, one message per job."""
        together = Announcement([*first.job_messages], [*first.early_job_messages], [*first.entries])
        with contextlib.suppress(queue.Empty):
            while len(together.entries) < MOST_ENTRIES:
                following = self._queue.get_nowait()
                together.job_messages += following.job_messages
                together.early_job_messages += following.early_job_messages
                together.entries += following.entries
        together.job_messages = list(dict.fromkeys(together.job_messages))
        together.early_job_messages = list(dict.fromkeys(together.early_job_messages))
        return together

    def _try(self, announcement: Announcement) -> None:
        now = time.monotonic()
        try:
            due = [(kind, job_id) for delay, kind, job_id in announcement.job_messages if delay <= 0]
            for delay, kind, job_id in announcement.job_messages:
                if 0 < delay <= LONGEST_DELAY_SECONDS:
                    heapq.heappush(self._later, (now + delay, next(self._order), kind, job_id))
            while self._later and self._later[0][0] <= now:
                _at, _order, kind, job_id = heapq.heappop(self._later)
                due.append((kind, job_id))
            # One round trip, job messages first: a worker begins while the entries are being appended.
            # Nobody relies on an entry being there before a job's are: sockets go by the numbers of the events.
            commands = [
                *broker.push_commands(announcement.early_job_messages, before_commit=True),
                *broker.push_commands(due),
                *feed.append_commands(announcement.entries),
            ]
            if commands:
                feed.exchange(commands)
        except (redis.RedisError, OSError) as error:
            # Only a delay: the sweep sends them again, and stream readers query the database.
            if self._is_redis_up:
                log.warning("can't publish announcements to Redis", error=type(error).__name__)
            self._is_redis_up = False
        except Exception:
            # A bug must not end this thread. The sweep and the readers recover this announcement, too.
            log.exception("an announcement failed")
        else:
            self._is_redis_up = True


def full_queues(most: int) -> list[Queue]:
    """The queues with so many messages that nobody has taken yet. None if Redis does not answer."""
    queues = list(Queue)
    try:
        lengths = feed.exchange([broker.length_command(queue) for queue in queues])
    except (redis.RedisError, OSError):
        return []
    return [queue for queue, length in zip(queues, lengths, strict=True) if cast("int", length) >= most]


_announcers: dict[int, Announcer] = {}


def announcer() -> Announcer:
    """This process's announcer. Threads do not survive a fork, so a child process makes its own."""
    pid = os.getpid()
    if pid not in _announcers:
        _announcers[pid] = Announcer()
    return _announcers[pid]


def close(seconds: float) -> None:
    """End this process's announcer and close its connections to Redis; a later announcement opens them again.

    A short-lived process calls it before it exits. A thread that the exit stops inside a call keeps a lock, and
    collecting the Redis client would wait for that lock forever.
    """
    if announcer().stop(seconds):
        feed.close_client()
