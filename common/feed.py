"""The wake-up line between processes: one Redis Stream for the whole instance.

It carries what was committed a moment ago, for speed only: who reads it makes a gap good from the database. Entries
are small: a kind, whom it concerns, and the message as JSON text.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.settings import settings

FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 30.0

LONGEST = 10_000
"""Entries the stream keeps, about. A reader that was away longer reads the database."""


@dataclass(frozen=True)
class Entry:
    """kind: `event` (durable: feed and seq are set), `ephemeral` (for followers of task_id, or of the feed where
    that is empty), `wake` (feed is the key that somebody waits for), `access` (feed is a user's id: their logins,
    tokens or memberships changed). message: the JSON text to be sent on, empty for the last two.
    """

    kind: str
    feed: str
    message: str = ""
    seq: int = 0
    task_id: str = ""


def stream_name() -> str:
    return f"{settings().instance}:feed"


@functools.lru_cache(maxsize=8)
def _client(url: str, pid: int, timeout: float) -> redis.Redis:
    # A connection that had ended is made anew; what took too long is not tried again, and would take as long again.
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 2),
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        decode_responses=True,
    )


def client(*, timeout: float = 1.0) -> redis.Redis:
    """This process's Redis client; every call gives up after `timeout` seconds."""
    return _client(settings().store.redis_url, os.getpid(), timeout)


@functools.lru_cache(maxsize=8)
def _rest(url: str, pid: int) -> Rest:
    return Rest()


@contextlib.contextmanager
def asked() -> Iterator[redis.Redis]:
    """The client, for a call that a request waits for.

    Once a call has failed, Redis rests: until then this raises redis.ConnectionError without asking, so a frozen Redis
    makes one request slow now and then, and not each.
    """
    rest = _rest(settings().store.redis_url, os.getpid())
    if not rest.may_ask():
        raise redis.ConnectionError("Redis did not answer a moment ago")
    try:
        yield client()
    except (redis.ConnectionError, redis.TimeoutError):
        rest.begin()
        raise
    rest.end()


class Rest:
    """For how long Redis is not asked. One call asks after each rest, and the next rest is longer."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._until = 0.0

    def may_ask(self) -> bool:
        if time.monotonic() < self._until:
            return False
        if self._seconds:
            # Whoever comes while this call is under way does not wait for it.
            self._until = time.monotonic() + FIRST_REST_SECONDS
        return True

    def begin(self) -> None:
        self._seconds = min(max(FIRST_REST_SECONDS, 2 * self._seconds), LONGEST_REST_SECONDS)
        self._until = time.monotonic() + self._seconds

    def end(self) -> None:
        self._seconds = self._until = 0.0


def publish(entries: list[Entry]) -> None:
    """Append to the stream, in order, in one round trip. Raises redis.RedisError; losing it is made good by readers."""
    pipeline = client().pipeline(transaction=False)
    for entry in entries:
        fields: dict[Any, Any] = {"k": entry.kind, "f": entry.feed}
        if entry.message:
            fields["m"] = entry.message
        if entry.seq:
            fields["s"] = entry.seq
        if entry.task_id:
            fields["t"] = entry.task_id
        pipeline.xadd(stream_name(), fields, maxlen=LONGEST, approximate=True)
    pipeline.execute()


def follow(*, block_seconds: float = 5.0) -> Iterator[list[Entry]]:
    """What is published from now on, in batches; an empty one when nothing came for a while.

    Raises redis.RedisError when the connection fails: what was published meanwhile is not repeated, so the caller
    makes it good from the database and follows anew.
    """
    connection = redis.Redis.from_url(
        settings().store.redis_url, socket_timeout=block_seconds + 5, socket_connect_timeout=2, decode_responses=True
    )
    try:
        newest = cast("list[Any]", connection.xrevrange(stream_name(), count=1))
        last = newest[0][0] if newest else "0-0"
        yield []
        while True:
            answer = cast("Any", connection.xread({stream_name(): last}, count=500, block=int(block_seconds * 1000)))
            rows = _rows(answer)
            if rows:
                last = rows[-1][0]
            yield [_entry(fields) for _id, fields in rows]
    finally:
        connection.close()


def ping() -> None:
    """One round trip; raises redis.RedisError."""
    client().ping()


def _rows(answer: Any) -> list[tuple[str, dict[str, str]]]:
    if not answer:
        return []
    if isinstance(answer, dict):  # RESP3
        batches = next(iter(answer.values()))
        return cast(
            "list[tuple[str, dict[str, str]]]", batches[0] if batches and isinstance(batches[0], list) else batches
        )
    return cast("list[tuple[str, dict[str, str]]]", answer[0][1])


def _entry(fields: dict[str, str]) -> Entry:
    return Entry(
        kind=fields.get("k", ""),
        feed=fields.get("f", ""),
        message=fields.get("m", ""),
        seq=int(fields.get("s", "0")),
        task_id=fields.get("t", ""),
    )


def message(event: str, body: Mapping[str, object], **beside: object) -> str:
    """A message to clients as JSON text: `event`, `data`, and what stands beside them."""
    return json.dumps({"event": event, "data": body, **beside}, ensure_ascii=False, separators=(",", ":"))
