"""Ids: in the order of their making, whatever the clock does."""

from __future__ import annotations

import threading
import uuid
from types import SimpleNamespace

import pytest

from common import names


def test_ids_sort_in_the_order_of_their_making() -> None:
    made = [names.new_id() for _ in range(20_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {(7, uuid.RFC_4122)}


def test_ids_sort_though_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([2_000_000_000.0, 1_999_999_999.0, 1_999_999_999.5, 2_000_000_000.001])
    # Of that module alone: what else looks at the clock meanwhile takes none of these.
    monkeypatch.setattr(names, "time", SimpleNamespace(time=lambda: next(clock)))

    made = [names.new_id() for _ in range(4)]

    assert made == sorted(made)


def test_ids_of_threads_are_distinct_and_each_thread_sees_its_own_in_order() -> None:
    made: list[list[str]] = [[] for _ in range(8)]

    def fill(mine: list[str]) -> None:
        mine.extend(names.new_id() for _ in range(2_000))

    threads = [threading.Thread(target=fill, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(mine == sorted(mine) for mine in made)
    assert len({one for mine in made for one in mine}) == 16_000


def test_the_short_ids_of_one_moment_differ() -> None:
    # They are 32 bits of chance: of 1,000, two were the same in one of 8,600 runs, of 100 in one of 860,000.
    assert len({names.short_id(names.new_id()) for _ in range(100)}) == 100
