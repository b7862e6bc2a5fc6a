"""How often somebody may do something: counted in Redis for all processes, in memory where Redis is away.

A limit is a courtesy to everyone else, so a Redis that does not answer never refuses anybody: the process then counts
for itself.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import redis

from common import feed
from common.settings import settings
from web.http.errors import TooManyRequests


@dataclass(frozen=True)
class Limit:
    """At most `times` within a window of `seconds`; windows begin with the clock, not with the first one."""

    name: str
    times: int
    seconds: int


LOGINS_BY_NAME = Limit("login-name", 10, 60)
"""Failed logins to one name from one address."""
LOGINS_BY_NAME_ANYWHERE = Limit("login-name-anywhere", 60, 60)
"""Failed logins to one name, from wherever: addresses can be many, or forged by who reaches us past the proxy."""
LOGINS_BY_ADDRESS = Limit("login-address", 60, 60)
"""Failed logins from one address, whatever the name."""


def writes() -> Limit:
    """Changes that one person asks for, through whichever of their tokens."""
    return Limit("writes", settings().web.writes_per_minute, 60)


@dataclass(frozen=True)
class Spent:
    """One time that was counted. `give_back` uncounts it."""

    key: str
    is_local: bool

    def give_back(self) -> None:
        if self.is_local:
            _local.add(self.key, -1, 0)
            return
        try:
            with feed.asked() as client:
                client.decr(self.key)
        except redis.RedisError:
            # The window ends by itself: until then the caller has one time less.
            return


class _LocalCounts:
    """Counts of this process, forgotten with their windows."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def add(self, key: str, by: int, until: float) -> int:
        now = time.time()
        with self._lock:
            if len(self._counts) > 10_000:
                self._counts = {kept: entry for kept, entry in self._counts.items() if entry[1] > now}
            count, end = self._counts.get(key, (0, until))
            self._counts[key] = (count + by, end)
            return count + by


_local = _LocalCounts()


def spend(limit: Limit, who: str) -> Spent:
    """Count one time. TooManyRequests, with the seconds to the window's end, above the limit."""
    now = time.time()
    window = int(now // limit.seconds)
    ends_at = (window + 1) * limit.seconds
    key = f"{settings().instance}:limit:{limit.name}:{window}:{who}"
    try:
        with feed.asked() as client:
            pipeline = client.pipeline(transaction=False)
            pipeline.incr(key)
            pipeline.expire(key, limit.seconds + 5)
            count, is_local = int(pipeline.execute()[0]), False
    except redis.RedisError:
        count, is_local = _local.add(key, 1, ends_at), True
    if count > limit.times:
        raise TooManyRequests(ends_at - now)
    return Spent(key, is_local)
