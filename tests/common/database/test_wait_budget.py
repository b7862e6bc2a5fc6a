"""All waits of one request together are bounded; each may take a little."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from common.database import wait_budget


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the module reads; its first item is now."""
    now = [100.0]
    monkeypatch.setattr(wait_budget, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_what_was_waited_is_taken_from_the_rest(clock: list[float]) -> None:
    with wait_budget.at_most(4.0):
        assert wait_budget.bounded(30.0) == 4.0
        with wait_budget.waiting():
            clock[0] += 1.5
        clock[0] += 60  # not a wait
        assert wait_budget.bounded(30.0) == 2.5
        assert wait_budget.bounded(1.0) == 1.0
        assert not wait_budget.is_over()
