"""Waits for all sockets of the process at once, in one thread: an idle socket has no thread, greenlet or buffer.

The kernel reports a socket once for each change (edge-triggered), so it is asked for nothing while nothing happens.
"""

from __future__ import annotations

import _thread
import contextlib
import select
from collections.abc import Callable
from typing import Protocol

import gevent
from gevent import monkey

READABLE, WRITABLE = select.POLLIN, select.POLLOUT
ENDING = select.POLLHUP | select.POLLERR | 0x2000  # EPOLLRDHUP: the client sends nothing any more
_EDGE = 1 << 31
_PAUSE_SECONDS = 0.2
_AT_ONCE = 32
"""Sockets that are served before others get a turn: with gevent, other greenlets."""


def spawn(act: Callable[..., None], *args: object) -> None:
    """Run a function in a thread of its own; under gevent, a greenlet."""
    _thread.start_new_thread(act, args)


class Polled(Protocol):
    """A socket that is watched."""

    def on_event(self, events: int) -> None:
        """Called from the polling thread with READABLE, WRITABLE and ENDING bits. Must not wait."""


class Poll:
    """The watched sockets, by file descriptor. `run` serves them; all other methods may be called from any thread."""

    def __init__(self) -> None:
        # gevent removes epoll from `select`, as waiting in it would block all greenlets; here it never waits.
        self._epoll = monkey.get_original("select", "epoll")()
        self._sockets: dict[int, Polled] = {}
        self._is_closed = False

    def add(self, descriptor: int, polled: Polled) -> None:
        """Report what happens to the socket, beginning with what has arrived already."""
        self._sockets[descriptor] = polled
        self._epoll.register(descriptor, READABLE | ENDING | _EDGE)

    def watch_writable(self, descriptor: int) -> None:
        """Report also when the socket can be written to, at once if it can be now."""
        self._epoll.modify(descriptor, READABLE | WRITABLE | ENDING | _EDGE)

    def remove(self, descriptor: int) -> None:
        """Report nothing more. Call it before the descriptor is closed, so that its number means no other socket."""
        self._sockets.pop(descriptor, None)
        with contextlib.suppress(OSError):
            self._epoll.unregister(descriptor)

    def run(self) -> None:
        """Report events until `close`."""
        wait = self._waiter()
        while not self._is_closed:
            for descriptor, events in wait():
                if (polled := self._sockets.get(descriptor)) is not None:
                    polled.on_event(events)
        self._epoll.close()

    def close(self) -> None:
        """End `run` soon. Without gevent only: a greenlet of it ends with its process."""
        self._is_closed = True

    def _waiter(self) -> Callable[[], list[tuple[int, int]]]:
        if not monkey.is_module_patched("threading"):
            return lambda: list(self._epoll.poll(_PAUSE_SECONDS, _AT_ONCE))
        # An epoll is itself a file that becomes readable: one watcher of gevent's loop serves all sockets.
        loop = gevent.get_hub()
        watcher = loop.loop.io(self._epoll.fileno(), 1)

        def wait() -> list[tuple[int, int]]:
            loop.wait(watcher)
            return list(self._epoll.poll(0, _AT_ONCE))

        return wait
