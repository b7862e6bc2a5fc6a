"""A version is looked at soon after its start, then less and less often."""

from __future__ import annotations

from workers.jobs.delivery import FIRST_LOOK_SECONDS, LOOK_AGAIN_SECONDS, until_next_look


def test_looks_grow_apart() -> None:
    at, pauses = 0.0, []
    while at < 5:
        pauses.append(until_next_look(at))
        at += pauses[-1]

    assert pauses[0] == FIRST_LOOK_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == LOOK_AGAIN_SECONDS
    assert len(pauses) < 12 + 5 / LOOK_AGAIN_SECONDS
