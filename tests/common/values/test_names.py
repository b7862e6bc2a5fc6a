"""Ids: in the order of their making, whatever the clock does."""

from __future__ import annotations

import uuid

from common.values import names


def test_ids_sort_in_the_order_of_their_making() -> None:
    made = [names.new_id() for _ in range(20_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {(7, uuid.RFC_4122)}
