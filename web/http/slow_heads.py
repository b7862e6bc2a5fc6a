"""gunicorn's gevent worker, with an end to how long a request's head may take to arrive.

Without it a client that sends a head byte by byte holds its connection for as long as an idle one may stay open. Only
heads are bounded: a connection between two requests, a body, a push, a long poll and a socket take their time.
"""

from __future__ import annotations

import contextvars
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from common.settings import settings

_READABLE = 1
_client: contextvars.ContextVar[Any] = contextvars.ContextVar("client")


class Worker(GeventWorker):  # type: ignore[misc]
    """Named by gunicorn.conf.py."""

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection, in a greenlet of its own."""
        _client.set(client)
        super().handle(listener, client, addr)

    def timeout_ctx(self) -> HeadTimeout:
        """What gunicorn waits in for the next request's head."""
        return HeadTimeout(_client.get(), self.cfg.keepalive, settings().web.head_seconds)


class _TooSlow(BaseException):
    """Thrown into the greenlet that waits for a head. Like gevent.Timeout, no handler of errors may take it."""


class HeadTimeout:
    """Leaves its block quietly when nothing comes for `idle_seconds`, or the rest not in `head_seconds` after that."""

    def __init__(self, client: Any, idle_seconds: float, head_seconds: float) -> None:
        self._client = client
        self._idle_seconds = idle_seconds
        self._head_seconds = head_seconds
        self._too_slow = _TooSlow()

    def __enter__(self) -> None:
        self._waiting = gevent.getcurrent()
        self._loop = gevent.get_hub().loop
        self._timer = self._start_timer(self._idle_seconds)
        self._readable = self._loop.io(self._client.fileno(), _READABLE)
        self._readable.start(self._begin)

    def __exit__(self, _kind: object, raised: BaseException | None, _at: object) -> bool:
        for watcher in (self._readable, self._timer):
            watcher.stop()
            watcher.close()
        return raised is self._too_slow

    def _begin(self) -> None:
        """The first bytes are there. Called by gevent's hub."""
        self._readable.stop()
        self._timer.stop()
        self._timer.close()
        self._timer = self._start_timer(self._head_seconds)

    def _start_timer(self, seconds: float) -> Any:
        timer = self._loop.timer(seconds)
        timer.start(self._waiting.throw, self._too_slow)
        return timer
