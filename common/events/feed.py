"""Notifications between processes: one Redis Stream for the whole instance.

It carries what was committed a moment ago. It only makes delivery fast: readers fill gaps from the database. Entries
are small: a kind, whom they concern, and the message as JSON text.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import orjson

from common.errors import Misconfigured
from common.machine.lazy_modules import lazy_module
from common.network.redis_tls import tls_options
from common.settings import settings

if TYPE_CHECKING:
    import redis
    import redis.backoff
    import redis.connection
    import redis.retry
else:
    redis = lazy_module("redis")

ANSWER_SECONDS = 1.0
"""How long a call of Redis may take, unless the caller says otherwise."""
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0

Command = Sequence[str | int]
"""A command to Redis: its name and arguments."""

LONGEST = 10_000
"""Approximate number of entries that the stream keeps. A reader that missed more reads the database."""

MOST_BYTES = 32 * 2**20
"""About so many bytes of entries of one size the stream keeps; of mixed sizes, at worst about six times as many."""

LEFT_WHEN_FULL = 20
"""Entries that stay in the stream when Redis has no room."""

_MOST_AT_ONCE = 500


@dataclass(frozen=True)
class Entry:
    """kind: `event` (durable: feed and seq are set), `ephemeral` (for followers of task_id, or of the feed if task_id
    is empty), `wake` (feed is the key that a long poll waits for), `access` (feed is a user's id: their logins, tokens
    or memberships changed), `person` (feed is a user's id: for their own sockets alone). message: the JSON text for
    clients; empty for `wake` and `access`.
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
    # A closed connection is opened again. A timeout is not retried: it would take as long again.
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 2),
        retry=redis.retry.Retry(redis.backoff.NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        decode_responses=True,
        **tls_options(url),
    )


def client(*, timeout: float | None = None) -> redis.Redis:
    """This process's Redis client; every call gives up after `timeout` seconds, or ANSWER_SECONDS."""
    return _client(settings().store.redis_url, os.getpid(), ANSWER_SECONDS if timeout is None else timeout)


def close_client() -> None:
    """Close the connections of `client()` and `exchange` that no thread uses; the next call opens new ones."""
    if _client.cache_info().currsize:
        client().connection_pool.disconnect(inuse_connections=False)
        _client.cache_clear()
    # Not looked for if there are none: a command that needs no platform must not read the settings.
    if _idle.cache_info().currsize:
        idle = _idle(settings().store.redis_url, os.getpid())
        while idle:
            idle.pop().disconnect()  # type: ignore[no-untyped-call]
        _idle.cache_clear()


def exchange(commands: Sequence[Command]) -> list[object]:
    """The replies to the commands, sent in one round trip as by `client()`, at a quarter of its cost.

    What Redis refuses because it is full is tried once more, after most of the stream was deleted to make room.

    Raises redis.RedisError: the first error that Redis replied, after it tried all of the commands, or that it did not
    reply. Relies on redis-py's connections: they open themselves when something is sent, and are closed here unless all
    replies were read, so one that is put back is at the end of a reply.
    """
    idle = _idle(settings().store.redis_url, os.getpid())
    try:
        connection = idle.pop()
    except IndexError:
        connection = cast("redis.connection.Connection", client().connection_pool.make_connection())
    packed = [b"".join([_packed(command) for command in commands])]
    try:
        replies = _replies(connection, packed, len(commands))
    except redis.ConnectionError:
        # Redis has closed it since it was used last. As `client()`, once more; a timeout would take as long again.
        replies = _replies(connection, packed, len(commands))
    if refused := [at for at, reply in enumerate(replies) if isinstance(reply, redis.OutOfMemoryError)]:
        # A full Redis refuses XADD, too, which is what else trims the stream: without this it would stay full.
        again = [("XTRIM", stream_name(), "MAXLEN", LEFT_WHEN_FULL), *[commands[at] for at in refused]]
        packed = [b"".join([_packed(command) for command in again])]
        for at, reply in zip(refused, _replies(connection, packed, len(again))[1:], strict=True):
            replies[at] = reply
    idle.append(connection)
    return _unless_refused(replies)


def _packed(command: Command) -> bytes:
    """The command in Redis' protocol: how many parts it has, and each with its length."""
    parts = [str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def _replies(connection: redis.connection.Connection, packed: Sequence[bytes], count: int) -> list[object]:
    connection.send_packed_command(packed, check_health=False)  # type: ignore[no-untyped-call]
    replies: list[object] = []
    for _ in range(count):
        try:
            replies.append(connection.read_response(disconnect_on_error=False))
        except redis.ResponseError as error:
            replies.append(error)
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
    return replies


def _unless_refused(replies: list[object]) -> list[object]:
    """The replies. Raises the first error among them."""
    for reply in replies:
        if isinstance(reply, redis.ResponseError):
            raise reply
    return replies


@functools.lru_cache(maxsize=8)
def _idle(url: str, pid: int) -> list[redis.connection.Connection]:
    """The open connections of this process that `exchange` does not use just now."""
    return []


@functools.lru_cache(maxsize=8)
def _breaker(url: str, pid: int) -> CircuitBreaker:
    return CircuitBreaker()


@contextlib.contextmanager
def guarded_client() -> Iterator[redis.Redis]:
    """The client behind a circuit breaker, for calls that a request waits for.

    After a failed call, this raises redis.ConnectionError at once until the breaker's pause is over. A frozen Redis
    therefore slows down one request per pause, not every request.
    """
    with _guarded():
        yield client()


def guarded_exchange(command: Command) -> object:
    """The reply to the command, behind the same circuit breaker. Errors: see `exchange`."""
    with _guarded():
        return exchange([command])[0]


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    breaker = _breaker(settings().store.redis_url, os.getpid())
    if not breaker.allows_call():
        raise redis.ConnectionError("Redis did not answer a moment ago")
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError):
        breaker.record_failure()
        raise
    breaker.record_success()


class CircuitBreaker:
    """Blocks calls for a pause after a failed one. One call is allowed after each pause; if it fails, the next pause
    is twice as long, up to LONGEST_PAUSE_SECONDS.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._until = 0.0

    def allows_call(self) -> bool:
        if time.monotonic() < self._until:
            return False
        if self._seconds:
            # Block other calls while this one is under way.
            self._until = time.monotonic() + FIRST_PAUSE_SECONDS
        return True

    def record_failure(self) -> None:
        self._seconds = min(max(FIRST_PAUSE_SECONDS, 2 * self._seconds), LONGEST_PAUSE_SECONDS)
        self._until = time.monotonic() + self._seconds

    def record_success(self) -> None:
        self._seconds = self._until = 0.0


def publish(entries: Iterable[Entry]) -> None:
    """Append to the stream, in order, in one round trip. Raises redis.RedisError; readers recover lost entries."""
    exchange(append_commands(entries))


def append_commands(entries: Iterable[Entry]) -> list[Command]:
    """The commands that append to the stream, in order. Each also deletes the oldest entries: more, if it is large."""
    name = stream_name()
    return [("XADD", name, "MAXLEN", "~", _kept_with(entry), "*", *_fields(entry)) for entry in entries]


def _kept_with(entry: Entry) -> int:
    """How many entries the stream may keep: as many as would fit in MOST_BYTES if all were as large as this one."""
    return max(1, min(LONGEST, MOST_BYTES // (len(entry.message.encode()) + 1)))


def _fields(entry: Entry) -> Iterator[str | int]:
    yield from ("k", entry.kind, "f", entry.feed)
    if entry.message:
        yield from ("m", entry.message)
    if entry.seq:
        yield from ("s", entry.seq)
    if entry.task_id:
        yield from ("t", entry.task_id)


def follow(*, block_seconds: float = 5.0) -> Iterator[list[Entry]]:
    """Yield the entries published from now on, in batches; an empty batch if nothing came for block_seconds.

    Raises redis.RedisError when the connection fails. Entries published after that are not repeated: the caller reads
    them from the database and calls this again.
    """
    url = settings().store.redis_url
    client = redis.Redis.from_url(
        url, socket_timeout=block_seconds + 5, socket_connect_timeout=2, decode_responses=True, **tls_options(url)
    )
    connection = cast("redis.connection.Connection", client.connection_pool.make_connection())
    name, milliseconds = stream_name(), int(block_seconds * 1000)
    try:
        (newest,) = _answers(connection, [("XREVRANGE", name, "+", "-", "COUNT", 1)])
        last = cast("list[_Row]", newest)[0][0] if newest else "0-0"
        yield []
        while True:
            # What waits is answered by the first of the entries that come at once. The second question is with Redis by
            # then, which answers it right after the first one, with all of them: no round trip lies between. A batch
            # costs readers little more than an entry does.
            waits = ("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", name, last)
            rows = _rows(_answers(connection, [waits, _reading(name, last)])[1])
            if len(rows) > 1:
                # Redis takes in what is sent to it in pieces: more of what came at once is there by now.
                rows += _rows(_answers(connection, [_reading(name, rows[-1][0])])[0])
            if rows:
                last = rows[-1][0]
            yield [_entry(fields) for _id, fields in rows]
    finally:
        connection.disconnect()  # type: ignore[no-untyped-call]


def _reading(name: str, after: str) -> Command:
    return ("XREAD", "COUNT", _MOST_AT_ONCE, "STREAMS", name, after)


def _answers(connection: redis.connection.Connection, commands: Sequence[Command]) -> list[object]:
    """The replies to the commands, sent in one round trip. Raises the first error among them."""
    packed = [b"".join([_packed(command) for command in commands])]
    return _unless_refused(_replies(connection, packed, len(commands)))


def ping() -> None:
    """One round trip; raises redis.RedisError."""
    client().ping()


def require_login() -> None:
    """One round trip. Raises Misconfigured if Redis refuses the login, or if its library does not take an option of the
    address, and another redis.RedisError as it is.
    """
    try:
        ping()
    except (TypeError, ValueError) as error:
        raise Misconfigured(f"AIWORKER_REDIS_URL has an option that can't be used ({error})") from error
    except redis.AuthenticationError as error:
        raise Misconfigured(
            "Redis refuses the login; set AIWORKER_REDIS_URL with its password, such as redis://:PASSWORD@HOST:6379/0"
        ) from error


_Row = tuple[str, Sequence[str]]
"""The id of an entry with its fields: each name, and its value behind it."""


def _rows(answer: object) -> list[_Row]:
    if not answer:
        return []
    if isinstance(answer, dict):  # RESP3: by the stream's name
        return list(next(iter(answer.values())))
    return list(cast("Sequence[tuple[str, Sequence[_Row]]]", answer)[0][1])


def _entry(fields: Sequence[str]) -> Entry:
    of = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(
        kind=of.get("k", ""),
        feed=of.get("f", ""),
        message=of.get("m", ""),
        seq=int(of.get("s", "0")),
        task_id=of.get("t", ""),
    )


def message(event: str, body: Mapping[str, object], **beside: object) -> str:
    """A message to clients as JSON text: `event`, `data`, and the members of `beside` next to them."""
    said = {"event": event, "data": body, **beside}
    try:
        return orjson.dumps(said).decode()
    except TypeError:
        # It refuses what JSON can hold all the same, such as half of a surrogate pair.
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))
