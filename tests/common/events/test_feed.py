"""What is published arrives once and in order, and what comes at once arrives as one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from common.events import feed
from common.events.feed import Entry


@pytest.fixture
def following(use_database: Callable[[str], None], tmp_path: object) -> Iterator[Iterator[list[Entry]]]:
    """A reader of the stream that has begun."""
    use_database(f"sqlite:///{tmp_path}/aiworker.db")
    feed.client(timeout=60).flushall()
    with closing(feed.follow(block_seconds=0.1)) as batches:  # type: ignore[type-var]
        assert next(batches) == []
        yield batches


@pytest.fixture
def stream(on_database: str) -> str:
    """The name of the stream, which is empty."""
    feed.client(timeout=60).flushall()
    return feed.stream_name()


def _entries(count: int) -> list[Entry]:
    return [Entry("event", "project", f'{{"number":{number}}}', seq=number) for number in range(1, count + 1)]


def test_entries_arrive_once_and_in_order(following: Iterator[list[Entry]]) -> None:
    for entry in _entries(3):
        feed.publish([entry])
        assert next(following) == [entry]


def test_entries_that_come_at_once_are_one_batch(following: Iterator[list[Entry]]) -> None:
    feed.publish(_entries(8))

    assert next(following) == _entries(8)


def test_the_stream_keeps_fewer_entries_while_large_ones_come(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_BYTES", 2**20)
    redis = feed.client()
    feed.publish(_entries(1_000))
    assert redis.xlen(stream) == 1_000

    # Half of them in letters of more than one byte.
    for text in ("x" * 2**16, "ä" * 2**15) * 50:
        feed.publish([Entry("ephemeral", "project", text)])

    kept = sum(len(fields["m"].encode()) for _id, fields in redis.xrange(stream))
    assert 2**19 <= kept <= 2**20
