"""All waits of one request together are bounded; each may take a little."""

from __future__ import annotations

import time

from common.machine import patience


def test_without_a_bound_every_wait_has_its_usual_length() -> None:
    with patience.waiting():
        assert (patience.bounded(30.0), patience.is_over()) == (30.0, False)


def test_what_was_waited_is_taken_from_the_rest() -> None:
    with patience.at_most(0.8):
        assert patience.bounded(30.0) == 0.8
        with patience.waiting():
            time.sleep(0.05)
        assert patience.SHORTEST_SECONDS <= patience.bounded(30.0) <= 0.75
        assert not patience.is_over()


def test_when_all_is_waited_each_wait_is_short() -> None:
    with patience.at_most(0.01):
        with patience.waiting():
            time.sleep(0.02)
        assert (patience.bounded(30.0), patience.bounded(0.1)) == (patience.SHORTEST_SECONDS, 0.1)
        assert patience.is_over()
    assert not patience.is_over()
