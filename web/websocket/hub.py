"""The WebSocket hub, one per process: owns the open sockets, the long polls, and the threads that serve them.

The threads start with the first socket or long poll, never before a fork. One reads the stream. One asks the database
once a second whether a feed has events that were not delivered; it delivers what the stream lost, and everything while
Redis is unavailable. One checks that subscribers still have access. One closes sockets that exceed a time limit. One
waits for all clients at once (web/websocket/poll.py).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from common.errors import Busy
from common.events import feed
from common.events.catalogue import ProjectStatusChanged
from common.events.feed import Entry
from common.machine.lazy_modules import lazy_module
from web.http.server.head_timeout import before_exit
from web.websocket import frames
from web.websocket.connection import CLOSE_SECONDS, Connection, Listener
from web.websocket.permissions import Authority
from web.websocket.poll import Poll
from web.websocket.subscribers import Subscriber
from web.websocket.topics import Topics

if TYPE_CHECKING:
    import redis
else:
    redis = lazy_module("redis")

log = structlog.get_logger()

DATABASE_POLL_SECONDS = 1.0
_PROJECT_CHANGED = f'{{"event":"{ProjectStatusChanged.name}"'
"""How the message of every change of a project begins; it may have become restricted."""
_TICK_SECONDS = 0.25
_RECONNECT_SECONDS = 0.5
_CHECK_SECONDS = 1.0
_SPARE_FILES = 200
"""Files that sockets leave to requests, the database and Redis."""


class Hub:
    """Every method may be called from any thread, and none waits for a client."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.authority = Authority(self.topics)
        self.poll = Poll()
        self.is_stopping = False
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._waiting: dict[str, set[threading.Event]] = {}
        self._threads: list[threading.Thread] = []
        self._poll_now = threading.Event()
        self._is_redis_read = True

    @property
    def is_full(self) -> bool:
        """Whether another socket would leave this process too few files for everything else."""
        return len(self._connections) + _SPARE_FILES > resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def admit(self, connection: Connection, listener: Listener) -> None:
        """Serve the socket until `remove_socket`, which the listener calls when it has ended."""
        with self._lock:
            self._connections.add(connection)
            self._start()
        if self.is_stopping:
            connection.close(frames.GOING_AWAY, "the server stops")
        connection.listen(listener)

    def remove_socket(self, connection: Connection, subscriber: Subscriber | None) -> None:
        """Remove the socket and its subscriptions."""
        with self._lock:
            self._connections.discard(connection)
        if subscriber is not None:
            self.authority.forget(subscriber)
            self.topics.forget(subscriber)

    def add_waiter(self, key: str, woken: threading.Event) -> None:
        """Set `woken` at every wake entry with this key until `remove_waiter`."""
        with self._lock:
            self._waiting.setdefault(key, set()).add(woken)
            self._start()

    def remove_waiter(self, key: str, woken: threading.Event) -> None:
        with self._lock:
            waiting = self._waiting.get(key, set())
            waiting.discard(woken)
            if not waiting:
                self._waiting.pop(key, None)

    def stop(self) -> None:
        """Close every socket with 1001 and end every long poll soon. May be called from a signal handler."""
        self.is_stopping = True

    def drain(self) -> None:
        """Wait until every socket is closed after `stop`, at most a little longer than a client may take to answer."""
        deadline = time.monotonic() + CLOSE_SECONDS + 1.0
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.05)

    def end(self, seconds: float) -> bool:
        """Stop, and wait for the threads. Returns False if one is still at work after `seconds`."""
        self.stop()
        self.poll.close()
        with contextlib.suppress(redis.RedisError):
            feed.publish([Entry("wake", "")])  # the stream's reader looks whether it is to stop after each entry
        with contextlib.suppress(ValueError):
            before_exit.remove(self.drain)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _start(self) -> None:
        if self._threads:
            return
        # Loads the library here: a process whose exit stops a thread amid an import waits for that forever.
        feed.client()
        _call_on_sigterm(self.stop)
        before_exit.append(self.drain)
        bodies = (
            self._read_stream, self._poll_database, self._check_authority, self._check_sockets, self.poll.run,
        )  # fmt: skip
        self._threads = [threading.Thread(target=self._run, args=(body,), name="hub", daemon=True) for body in bodies]
        for thread in self._threads:
            thread.start()

    def _run(self, body: Callable[[], None]) -> None:
        try:
            body()
        finally:
            if not self.is_stopping:
                # A bug ended the thread. Close the sockets, which are no longer served: their clients connect again,
                # to a new hub.
                _hubs.pop(os.getpid(), None)
                self.stop()

    def _read_stream(self) -> None:
        while not self.is_stopping:
            try:
                for batch in feed.follow():
                    self._note_redis(None)
                    self._take(batch)
                    if self.is_stopping:
                        return
            except (redis.RedisError, OSError) as error:
                self._note_redis(error)
            time.sleep(_RECONNECT_SECONDS)

    def _take(self, batch: list[Entry]) -> None:
        for entry in batch:
            if entry.kind == "wake":
                self._wake(entry.feed)
            elif entry.kind == "access":
                self.authority.recheck_user(entry.feed)
            elif entry.kind == "event" and entry.message.startswith(_PROJECT_CHANGED):
                self.authority.forget_feed(entry.feed)
        if not batch or not self.topics.deliver(batch):
            self._poll_now.set()  # a new connection may have missed entries, and no later entry has to show it

    def _wake(self, key: str) -> None:
        with self._lock:
            for woken in self._waiting.get(key, ()):
                woken.set()

    def _note_redis(self, error: Exception | None) -> None:
        if error is not None and self._is_redis_read:
            log.warning("the stream can't be read; sockets follow the database", error=type(error).__name__)
        elif error is None and not self._is_redis_read:
            log.info("the stream can be read again")
        self._is_redis_read = self.authority.is_stream_read = error is None

    def _poll_database(self) -> None:
        polled_at, outage_log = 0.0, _OutageLog("sockets wait for it")
        while not self.is_stopping:
            now = time.monotonic()
            if self._poll_now.is_set() or now - polled_at >= DATABASE_POLL_SECONDS:
                self._poll_now.clear()
                polled_at = now
                outage_log.ask(self.topics.deliver_missed)
            time.sleep(_TICK_SECONDS)

    def _check_authority(self) -> None:
        outage_log = _OutageLog("open sockets keep their rights until it is back")
        while not self.is_stopping:
            self.authority.wait()
            outage_log.ask(self.authority.check)

    def _check_sockets(self) -> None:
        checked_at = 0.0
        while not self.is_stopping or self._connections:
            now = time.monotonic()
            if self.is_stopping:
                for connection in self._snapshot():
                    connection.close(frames.GOING_AWAY, "the server stops")
                self._wake_all()
            if now - checked_at >= _CHECK_SECONDS:
                checked_at = now
                for connection in self._snapshot():
                    connection.check(now)
            time.sleep(_TICK_SECONDS)

    def _wake_all(self) -> None:
        with self._lock:
            for waiting in self._waiting.values():
                for woken in waiting:
                    woken.set()

    def _snapshot(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)


class _OutageLog:
    """Goes on where the database is away: says so once, with what follows, and that it is back."""

    def __init__(self, what_follows: str) -> None:
        self._what_follows = what_follows
        self._is_away = False

    def ask(self, act: Callable[[], bool]) -> None:
        """act: returns whether it asked the database."""
        try:
            has_asked = act()
        except Busy:
            if not self._is_away:
                log.warning(f"the database can't be reached; {self._what_follows}")
            self._is_away = True
        else:
            if has_asked and self._is_away:
                log.warning("the database can be reached again")
                self._is_away = False


def _call_on_sigterm(stop: Callable[[], None]) -> None:
    """Stop the hub when the server stops gracefully: else the server would wait for sockets that never close."""
    earlier = signal.getsignal(signal.SIGTERM)
    if not callable(earlier):
        return

    def stop_too(number: int, frame: FrameType | None) -> None:
        stop()
        earlier(number, frame)

    # ValueError in a thread that may not set handlers: then the server waits for its timeout.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, stop_too)


_hubs: dict[int, Hub] = {}


def hub() -> Hub:
    """The hub of this process. Threads do not survive a fork, so a child process makes its own hub."""
    pid = os.getpid()
    if pid not in _hubs:
        _hubs[pid] = Hub()
    return _hubs[pid]


def end_hub(seconds: float) -> bool:
    """End the hub of this process with its threads. Safe to repeat; a later socket or long poll begins a new one.

    Returns False if a thread is still at work after `seconds`.
    """
    ending = _hubs.pop(os.getpid(), None)
    return ending is None or ending.end(seconds)
