"""Rate limits, counted in Redis for all processes, or in each process's memory while Redis does not answer.

An unavailable Redis never leads to a refusal by itself.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from common import feed
from common.machine.late_modules import late_module
from common.settings import settings
from web.http.errors import TooManyRequests

if TYPE_CHECKING:
    import redis
else:
    redis = late_module("redis")


@dataclass(frozen=True)
class Limit:
    """At most `times` within a window of `seconds`. Windows are aligned to the clock, not to the first request."""

    name: str
    times: int
    seconds: int


LOGINS_BY_NAME = Limit("login-name", 10, 60)
"""Failed logins to one name from one address."""
LOGINS_BY_NAME_ANYWHERE = Limit("login-name-anywhere", 60, 60)
"""Failed logins to one name from all addresses together: a client may have many, or forge them behind the proxy."""
LOGINS_BY_ADDRESS = Limit("login-address", 60, 60)
"""Failed logins from one address to all names together."""


def writes() -> Limit:
    """Writing requests of one person, by all of their tokens together."""
    return Limit("writes", settings().web.writes_per_minute, 60)


@dataclass(frozen=True)
class Spent:
    """One counted request. `give_back` subtracts it again."""

    key: str
    is_local: bool

    def give_back(self) -> None:
        if self.is_local:
            _local.add(self.key, -1, 0)
            return
        try:
            feed.guarded_exchange(("DECR", self.key))
        except redis.RedisError:
            # The caller has one request less until the window ends.
            return


class _LocalCounts:
    """The counts of this process; those of past windows are dropped when there are many."""

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


_COUNT = "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n"
_COUNT_DIGEST = hashlib.sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()


def _count(key: str, kept_seconds: int) -> int:
    """Raise the counter. One command, so that a counter never stays without an end."""
    try:
        count = feed.guarded_exchange(("EVALSHA", _COUNT_DIGEST, 1, key, kept_seconds))
    except redis.exceptions.NoScriptError:
        count = feed.guarded_exchange(("EVAL", _COUNT, 1, key, kept_seconds))
    return cast("int", count)


def spend(limit: Limit, who: str) -> Spent:
    """Count one request. Raises TooManyRequests with the seconds left in the window once the limit is exceeded."""
    now = time.time()
    window = int(now // limit.seconds)
    ends_at = (window + 1) * limit.seconds
    key = f"{settings().instance}:limit:{limit.name}:{window}:{who}"
    try:
        count, is_local = _count(key, limit.seconds + 5), False
    except redis.RedisError:
        count, is_local = _local.add(key, 1, ends_at), True
    if count > limit.times:
        raise TooManyRequests(ends_at - now)
    return Spent(key, is_local)
