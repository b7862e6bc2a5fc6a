"""One background thread a process that rings doorbells and publishes what was committed.

It owns a bounded queue: a frozen or absent Redis delays no request and loses nothing, since a sweep rings again and
readers of the stream look into the database. What does not fit is dropped.
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

import kombu.exceptions
import redis
import structlog

from common import broker, feed

log = structlog.get_logger()

MOST_TOGETHER = 200
"""Entries that are published in one round trip."""
LONGEST_DELAY_SECONDS = 4.0
"""Rings wanted later than this are left to the sweep."""


@dataclass
class Announcement:
    """What other processes are told after a commit. rings: (seconds from now, kind, job id). entries: for the stream,
    in order.
    """

    rings: list[tuple[float, str, str]] = field(default_factory=list)
    entries: list[feed.Entry] = field(default_factory=list)

    def ring(self, kind: str, job_id: str, after_seconds: float = 0) -> None:
        """Tell a worker to look at the job, that much later."""
        self.rings.append((after_seconds, kind, job_id))

    def tell(self, project_id: str, event: str, body: Mapping[str, object], *, task_id: str = "") -> None:
        """Send an ephemeral message to the followers of the task, or of the project if there is no task."""
        text = feed.message(event, body, projectId=project_id)
        self.entries.append(feed.Entry("ephemeral", project_id, text, task_id=task_id))

    def wake(self, key: str) -> None:
        """Wake the long polls that wait for `key`."""
        self.entries.append(feed.Entry("wake", key))

    def access_changed(self, user_id: str) -> None:
        """Have the open sockets of this user checked again."""
        self.entries.append(feed.Entry("access", user_id))


class Announcer:
    """Starts its thread with the first announcement; a forked child gets one of its own (see `announcer`)."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Announcement] = queue.Queue(maxsize=10_000)
        self._later: list[tuple[float, int, str, str]] = []
        self._order = itertools.count()
        self._idle = threading.Event()
        self._idle.set()
        self._is_heard = True
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def announce(self, announcement: Announcement) -> None:
        """Returns at once. Safe from any thread."""
        if not announcement.rings and not announcement.entries:
            return
        self._idle.clear()
        try:
            self._queue.put_nowait(announcement)
        except queue.Full:
            return
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
                    self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Wait until what was announced has been tried, delayed rings apart; False if that took longer."""
        return self._idle.wait(seconds)

    def _run(self) -> None:
        while True:
            timeout = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            try:
                announcement = self._gathered(self._queue.get(timeout=timeout))
            except queue.Empty:
                announcement = Announcement()
            self._try(announcement)
            if self._queue.empty():
                self._idle.set()

    def _gathered(self, first: Announcement) -> Announcement:
        """Together with what else waits: one round trip for all entries, and each job is rung once."""
        together = Announcement([*first.rings], [*first.entries])
        with contextlib.suppress(queue.Empty):
            while len(together.entries) < MOST_TOGETHER:
                following = self._queue.get_nowait()
                together.rings += following.rings
                together.entries += following.entries
        together.rings = list(dict.fromkeys(together.rings))
        return together

    def _try(self, announcement: Announcement) -> None:
        now = time.monotonic()
        try:
            if announcement.entries:
                feed.publish(announcement.entries)
            for delay, kind, job_id in announcement.rings:
                if delay <= 0:
                    broker.ring(kind, job_id)
                elif delay <= LONGEST_DELAY_SECONDS:
                    heapq.heappush(self._later, (now + delay, next(self._order), kind, job_id))
            while self._later and self._later[0][0] <= now:
                _at, _order, kind, job_id = heapq.heappop(self._later)
                broker.ring(kind, job_id)
        except (redis.RedisError, kombu.exceptions.KombuError, OSError) as error:
            # The sweep rings again and the readers look into the database: only the speed is lost.
            if self._is_heard:
                log.warning("redis does not take announcements", error=type(error).__name__)
            self._is_heard = False
        except Exception:
            # A bug must not silence the process for good; what was lost now is made good like any other loss.
            log.exception("an announcement failed")
        else:
            self._is_heard = True


_announcers: dict[int, Announcer] = {}


def announcer() -> Announcer:
    """This process's announcer. A fork does not carry threads over, so a child makes its own."""
    pid = os.getpid()
    if pid not in _announcers:
        _announcers[pid] = Announcer()
    return _announcers[pid]
