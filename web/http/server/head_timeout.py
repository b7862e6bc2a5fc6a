"""gunicorn's gevent worker with a time limit for receiving a request's head.

Without it, a client that sends a head byte by byte holds its connection for as long as an idle one may stay open. Only
heads have this limit, not idle connections, bodies, pushes, long polls or sockets.

gunicorn's process imports this before gevent replaces what blocks, so it imports little: see
web/http/server/refusals.py.
"""

from __future__ import annotations

import contextlib
import contextvars
import socket
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Protocol

import gevent
from gunicorn.workers.ggevent import GeventWorker

_READABLE = 1
_RECORDING_SECONDS = 2.0
HEAD_SECONDS = 10.0
"""How long a request's headers may take to arrive, from their first byte. A slow connection needs about 1 s; a client
that sends single bytes must not keep a connection open for longer."""

before_kill: list[Callable[[], None]] = []
"""Called in a process that was told to stop, shortly before gunicorn kills it with the requests that are still open."""

before_exit: list[Callable[[], None]] = []
"""Called in a process that was told to stop, when no request is open any more. May take some seconds."""

refuse: list[Callable[[BaseException, object], bytes]] = []
"""The first one makes the whole reply to a request that gunicorn can't serve, of what was raised and the client's
address. While the application is not loaded there is none."""

_client: contextvars.ContextVar[socket.socket] = contextvars.ContextVar("client")


class Watcher(Protocol):
    """A timer or an I/O watcher of gevent's loop."""

    def start(self, callback: Callable[..., None], *args: object) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class Worker(GeventWorker):  # type: ignore[misc]
    """The worker class that gunicorn.conf.py names."""

    def patch(self) -> None:
        """Replace what blocks in the standard library by gevent's, before the application is loaded."""
        with packages_read_once():
            super().patch()

    def run(self) -> None:
        """Serve until the process is told to stop, and then what is still open."""
        # gunicorn reads some thirty settings for each request. As attributes they cost a tenth of what they do as names
        # that the configuration looks up; no setting changes in a worker.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().run()
        for act in before_exit:
            act()

    def handle(self, listener: object, client: socket.socket, addr: object) -> None:
        """Serve one connection, in a greenlet of its own."""
        _client.set(client)
        super().handle(listener, client, addr)

    def handle_exit(self, sig: int, frame: object) -> None:
        """Called at SIGTERM. Requests may go on until graceful_timeout; `before_kill` ends those that would not end."""
        super().handle_exit(sig, frame)
        for act in before_kill:
            gevent.spawn_later(max(0.0, self.cfg.graceful_timeout - _RECORDING_SECONDS), act)

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: BaseException) -> None:
        """Answer a request that can't be served. The connection is closed after it."""
        if not refuse:
            super().handle_error(req, client, addr, exc)
            return
        with contextlib.suppress(OSError):
            client.sendall(refuse[0](exc, addr))

    def timeout_ctx(self) -> HeadTimeout:
        """The context in which gunicorn waits for the next request's head."""
        return HeadTimeout(_client.get(), self.cfg.keepalive, HEAD_SECONDS)


@contextlib.contextmanager
def packages_read_once() -> Iterator[None]:
    """Remember inside what installed packages offer.

    gevent asks for plugins before and after each module that it replaces, and each time all files of all packages that
    list some are read: a tenth of a web server's start.
    """
    read, found = metadata.entry_points, metadata.entry_points()
    metadata.entry_points = found.select
    try:
        yield
    finally:
        metadata.entry_points = read


class _TooSlow(BaseException):
    """Raised in the greenlet that waits for a head. A BaseException like gevent.Timeout, so no `except Exception`
    catches it."""


class HeadTimeout:
    """Ends its block without an error if nothing arrives for `idle_seconds`, or the head takes longer than
    `head_seconds` from its first byte."""

    def __init__(self, client: socket.socket, idle_seconds: float, head_seconds: float) -> None:
        self._client = client
        self._idle_seconds = idle_seconds
        self._head_seconds = head_seconds
        self._too_slow = _TooSlow()

    def __enter__(self) -> None:
        self._waiting = gevent.getcurrent()
        self._loop = gevent.get_hub().loop
        self._timer = self._start_timer(self._idle_seconds)
        self._readable: Watcher = self._loop.io(self._client.fileno(), _READABLE)
        self._readable.start(self._begin)

    def __exit__(self, _kind: object, raised: BaseException | None, _at: object) -> bool:
        for watcher in (self._readable, self._timer):
            watcher.stop()
            watcher.close()
        return raised is self._too_slow

    def _begin(self) -> None:
        """Start the head's time limit. Called by gevent's hub when the first bytes arrive."""
        self._readable.stop()
        self._timer.stop()
        self._timer.close()
        self._timer = self._start_timer(self._head_seconds)

    def _start_timer(self, seconds: float) -> Watcher:
        timer: Watcher = self._loop.timer(seconds)
        timer.start(self._waiting.throw, self._too_slow)
        return timer
