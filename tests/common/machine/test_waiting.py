"""Deadlines and growing delays."""

from __future__ import annotations

import pytest

from common.machine.waiting import Deadline, growing_delay


def test_a_deadline_ends_once_and_stays_over() -> None:
    later, over = Deadline(60), Deadline(0)

    assert (later.is_over, 59 < later.left_seconds <= 60) == (False, True)
    assert (over.is_over, over.left_seconds) == (True, 0)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (4, 4.0), (5, 5.0), (10**6, 5.0)])
def test_a_delay_doubles_up_to_its_bound(failures: int, seconds: float) -> None:
    assert growing_delay(failures, first_seconds=0.5, longest_seconds=5.0) == seconds
