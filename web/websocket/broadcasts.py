"""What the hub has read of the stream at once, written to every socket at once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from web.websocket.connection import LOCK, Connection

_AT_ONCE = 200
"""Sockets that are written to before others get a turn: with gevent, other greenlets."""


class Broadcast:
    """Frames for groups of sockets. `end` writes each socket's in the order in which they were added.

    What costs work for every socket happens once a broadcast, not once an event: the frames that a socket gets are
    joined, once for all sockets that get the same ones, and written with one system call.
    """

    def __init__(self) -> None:
        self._frames: list[tuple[int, bytes]] = []
        self._groups: list[Iterable[Connection]] = []
        self._numbers: dict[Hashable, int] = {}

    def add(self, group: Hashable, members: Callable[[], Iterable[Connection]], frame: bytes) -> None:
        """Add a frame for the group. members is called for its first frame: the group must not change until `end`."""
        number = self._numbers.get(group)
        if number is None:
            number = self._numbers[group] = len(self._groups)
            self._groups.append(members())
        self._frames.append((number, frame))

    def add_for(self, connection: Connection, frame: bytes) -> None:
        """Add a frame for one socket."""
        self.add(connection, lambda: (connection,), frame)

    def end(self) -> None:
        """Write everything as far as the kernel accepts it. The broadcast is empty then."""
        runs, done = self._runs(), 0
        self._frames, self._groups, self._numbers = [], [], {}
        for data, count, connections in runs:
            for start in range(0, len(connections), _AT_ONCE):
                part = connections[start : start + _AT_ONCE]
                with LOCK:
                    for connection in part:
                        connection.deliver(data, count)
                done += len(part)
                if done >= _AT_ONCE:
                    done = 0
                    time.sleep(0)

    def _runs(self) -> list[tuple[bytes, int, list[Connection]]]:
        """Joined frames, how many they are, and who gets them."""
        if len(self._groups) == 1:
            return [(b"".join([frame for _number, frame in self._frames]), len(self._frames), list(self._groups[0]))]
        groups_of: dict[Connection, tuple[int, ...]] = {}
        for number, members in enumerate(self._groups):
            for connection in members:
                groups_of[connection] = (*groups_of.get(connection, ()), number)
        alike: dict[tuple[int, ...], list[Connection]] = defaultdict(list)
        for connection, numbers in groups_of.items():
            alike[numbers].append(connection)
        runs = []
        for numbers, connections in alike.items():
            chosen = [frame for number, frame in self._frames if number in numbers]
            runs.append((b"".join(chosen), len(chosen), connections))
        return runs
