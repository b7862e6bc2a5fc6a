"""What has begun is looked at soon, then less and less often."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.services.tasks import verification
from workers.jobs import delivery


@pytest.mark.parametrize(
    ("until_next_look", "first", "longest", "seconds", "most"),
    [
        (delivery.until_next_look, delivery.FIRST_LOOK_SECONDS, delivery.LOOK_AGAIN_SECONDS, 5, 21),
        (verification.until_next_look, verification.FIRST_LOOK_SECONDS, verification.LOOK_AGAIN_SECONDS, 20, 68),
    ],
)
def test_looks_grow_apart(
    until_next_look: Callable[[float], float], first: float, longest: float, seconds: float, most: int
) -> None:
    at, pauses = 0.0, []
    while at < seconds:
        pauses.append(until_next_look(at))
        at += pauses[-1]

    assert pauses[0] == first
    assert pauses == sorted(pauses)
    assert pauses[-1] == longest
    assert len(pauses) <= most
