"""All waits of one request together are bounded; each may take a little."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from common.machine import patience


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the module reads; its first item is now."""
    now = [100.0]
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_what_was_waited_is_taken_from_the_rest(clock: list[float]) -> None:
    with patience.at_most(4.0):
        assert patience.bounded(30.0) == 4.0
        with patience.waiting():
            clock[0] += 1.5
        clock[0] += 60  # not a wait
        assert patience.bounded(30.0) == 2.5
        assert patience.bounded(1.0) == 1.0
        assert not patience.is_over()
