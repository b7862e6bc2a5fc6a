"""Ids: in the order of their making, whatever the clock does."""

from __future__ import annotations

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
