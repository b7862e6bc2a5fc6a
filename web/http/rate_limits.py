"""Rate limits, counted in Redis for all processes, or in each process's memory while Redis does not answer.

An unavailable Redis never leads to a refusal by itself.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from common.events import feed
from common.machine.lazy_modules import lazy_module
from common.settings import settings
from web.http.errors import TooManyRequests

if TYPE_CHECKING:
    import redis
else:
    redis = lazy_module("redis")


@dataclass(frozen=True)
class Limit:
    """At most `times` within a window of `seconds`. Windows are aligned to the clock, not to the first request.

    at_once: so many a process takes from the common count at a time, for what is asked often. It refuses nothing while
    it has some left; what it does not use is lost to the other processes until the window ends.
    """

    name: str
    times: int
    seconds: int
    at_once: int = 1


LOGINS_BY_NAME = Limit("login-name", 10, 60)
"""Failed logins to one name from one address."""
LOGINS_BY_NAME_ANYWHERE = Limit("login-name-anywhere", 60, 60)
"""Failed logins to one name from all addresses together: a client may have many, or forge them behind the proxy."""
LOGINS_BY_ADDRESS = Limit("login-address", 60, 60)
"""Failed logins from one address to all names together."""


def writes() -> Limit:
    """Writing requests of one person, by all of their tokens together."""
    times = settings().web.writes_per_minute
    return Limit("writes", times, 60, at_once=max(1, min(times // 50, 16)))


@dataclass(frozen=True)
class CountedRequest:
    """One counted request. `mark_feedback_undelivered` subtracts it again."""

    key: str
    is_local: bool

    def mark_feedback_undelivered(self) -> None:
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


class _ReservedCounts:
    """What this process has taken from common counts and not used yet."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def use(self, key: str) -> bool:
        """Use one of them. Returns False if there is none."""
        with self._lock:
            left, until = self._left.get(key, (0, 0.0))
            if left:
                self._left[key] = (left - 1, until)
            return left > 0

    def add(self, key: str, count: int, until: float) -> None:
        now = time.time()
        with self._lock:
            if len(self._left) > 1_000:
                self._left = {kept: entry for kept, entry in self._left.items() if entry[1] > now}
            self._left[key] = (self._left.get(key, (0, until))[0] + count, until)


_reserved = _ReservedCounts()


_COUNT = (
    "local n = redis.call('INCRBY', KEYS[1], ARGV[2]) "
    "if n == tonumber(ARGV[2]) then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n"
)
_COUNT_DIGEST = hashlib.sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()


def _count(key: str, by: int, kept_seconds: int) -> int:
    """Raise the counter. One command, so that a counter never stays without an end."""
    try:
        count = feed.guarded_exchange(("EVALSHA", _COUNT_DIGEST, 1, key, kept_seconds, by))
    except redis.exceptions.NoScriptError:
        count = feed.guarded_exchange(("EVAL", _COUNT, 1, key, kept_seconds, by))
    return cast("int", count)


def spend(limit: Limit, who: str) -> CountedRequest:
    """Count one request. Raises TooManyRequests with the seconds left in the window once the limit is exceeded."""
    now = time.time()
    window = int(now // limit.seconds)
    ends_at = (window + 1) * limit.seconds
    key = f"{settings().instance}:limit:{limit.name}:{window}:{who}"
    if limit.at_once > 1 and _reserved.use(key):
        return CountedRequest(key, is_local=False)
    try:
        count, is_local = _count(key, limit.at_once, limit.seconds + 5), False
    except redis.RedisError:
        count, is_local = _local.add(key, 1, ends_at), True
    # Of those that were taken at once, the last ones may be above the limit.
    allowed = (1 if is_local else limit.at_once) - max(0, count - limit.times)
    if allowed < 1:
        raise TooManyRequests(ends_at - now)
    if allowed > 1:
        _reserved.add(key, allowed - 1, ends_at)
    return CountedRequest(key, is_local)
