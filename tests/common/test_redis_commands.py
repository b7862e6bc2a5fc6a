"""Commands to Redis on kept connections: all are tried, errors are raised, and a closed connection is opened again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from common.events import feed


@pytest.fixture(autouse=True)
def _empty(on_database: str) -> None:
    feed.client(timeout=60).flushall()


@pytest.fixture
def full() -> Iterator[None]:
    """Redis has no room, mostly because of the stream."""
    client = feed.client(timeout=60)
    feed.publish([feed.Entry("ephemeral", "p", "x" * 2**16)] * 100)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", client.info("memory")["used_memory"] - 2**20)
    yield
    client.config_set("maxmemory", 0)


def test_commands_after_a_refused_one_are_tried_and_its_error_is_raised() -> None:
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        feed.exchange([("SET", "a", "text"), ("LPUSH", "a", 1), ("SET", "b", 2)])

    assert feed.exchange([("GET", "a"), ("GET", "b")]) == ["text", "2"]


def test_a_connection_that_redis_closed_is_opened_again() -> None:
    feed.exchange([("SET", "a", 1)])
    feed.client().client_kill_filter(_type="normal", skipme=True)

    assert feed.exchange([("GET", "a")]) == ["1"]


@pytest.mark.usefixtures("full")
def test_a_full_redis_takes_entries_and_messages_again_because_the_stream_makes_room() -> None:
    feed.publish([feed.Entry("event", "p", "{}", seq=7)])

    (newest,) = feed.client().xrevrange(feed.stream_name(), count=1)
    assert newest[1]["s"] == "7"
    assert feed.exchange([("LPUSH", "queue", "job")]) == [1]
