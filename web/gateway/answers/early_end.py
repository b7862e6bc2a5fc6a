"""Ends calls early: when their caller hangs up, and when the process is told to stop.

Else a provider would work on for nobody, and a call that its process's end cuts off would not be recorded.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

import gevent

from web.gateway.answers.bodies import is_gevent
from web.gateway.refusal import Refused
from web.http.server.head_timeout import before_kill

CALLER_GONE = "the caller closed the connection"
STOPPED = "the platform was stopped"

_READABLE = 1


class CanBeStopped(Protocol):
    """A call under way."""

    def stop(self, reason: str) -> None:
        """End it now, and have it recorded. Returns at once."""


class _UnderWay:
    """The calls under way in this process. is_stopping: no more may begin."""

    def __init__(self) -> None:
        self.calls: set[CanBeStopped] = set()
        self.is_stopping = False


calls_under_way = _UnderWay()


def stop_all() -> None:
    """End all calls, so that they are recorded before the process is killed."""
    calls_under_way.is_stopping = True
    for call in list(calls_under_way.calls):
        call.stop(STOPPED)


before_kill.append(stop_all)


class CallerWatch:
    """Calls `gone` when the caller's connection ends while the provider is silent.

    Otherwise it would only be noticed at the next chunk, which may be minutes and much money later. A watcher of
    gevent's loop: it costs nothing while nothing happens.

    gone: called by gevent's hub, where nothing may wait.
    """

    def __init__(self, client: socket.socket, gone: Callable[[], object]) -> None:
        self.is_client_gone = False
        self._client, self._gone = client, gone
        self._watcher = gevent.get_hub().loop.io(client.fileno(), _READABLE)
        self._watcher.start(self._look)

    def stop(self) -> None:
        self._watcher.stop()
        self._watcher.close()

    def _look(self) -> None:
        """Called by gevent's hub, where nothing may wait."""
        self._watcher.stop()
        try:
            is_gone = not self._client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            is_gone = False
        except OSError:
            is_gone = True
        # What is there instead would be the next request, sent ahead of time.
        if is_gone:
            self.is_client_gone = True
            self._gone()


class EndedEarly(BaseException):
    """Raised where a call waits for its answer to begin. A BaseException like gevent.Timeout, so no `except Exception`
    catches it.

    is_sent: the provider may have the whole request; False: it has worked on nothing.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_sent = True


class Opening:
    """A call until its answer begins. As a context, it ends what waits inside with CutOff when the call has to end.

    client: the caller's connection; None where the server does not give it. Raises Refused if the process stops.
    """

    def __init__(self, client: socket.socket | None) -> None:
        self._client = client
        self._watch: CallerWatch | None = None
        self._waiting: gevent.Greenlet | None = None
        self._throw: gevent._interfaces.ICallback | None = None

    def __enter__(self) -> None:
        if calls_under_way.is_stopping:
            raise Refused(503, "The platform is stopping; try again", 1)
        if is_gevent():
            self._waiting = gevent.getcurrent()
            calls_under_way.calls.add(self)
            if self._client is not None:
                self._watch = CallerWatch(self._client, lambda: self.stop(CALLER_GONE))

    def __exit__(self, *_raised: object) -> None:
        calls_under_way.calls.discard(self)
        if self._watch is not None:
            self._watch.stop()
        if self._throw is not None:
            # It may not have come yet, and what follows is none of its business.
            self._throw.stop()

    def stop(self, reason: str) -> None:
        """Have CutOff raised in the greenlet that waits. Safe to repeat."""
        if self._throw is None and self._waiting is not None:
            self._throw = gevent.get_hub().loop.run_callback(self._waiting.throw, EndedEarly(reason))
