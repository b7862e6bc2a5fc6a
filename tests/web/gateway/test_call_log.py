"""Calls wait for a database that is busy, and none is lost without a word."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.errors import Busy, CommitUnknown
from common.services.spend.model_calls import MadeCall
from tests.long_waits import LONG_WAIT_SECONDS
from web.gateway import call_log
from web.gateway.call_log import CallLog


def a_call(number: int) -> MadeCall:
    return MadeCall(
        f"call-{number}", "run", "task", "project", "ada", None, "anthropic", "claude-x", 200, 5, datetime.now(UTC)
    )


class Store:
    """A database that fails as it is told, and then works. poisoned: a call that it never takes."""

    def __init__(self, *faults: Exception, poisoned: str = "") -> None:
        self.faults, self.poisoned = list(faults), poisoned
        self.stored: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, calls: Sequence[MadeCall]) -> None:
        assert self.gate.wait(60)
        if self.faults:
            raise self.faults.pop(0)
        if any(call.id == self.poisoned for call in calls):
            raise ValueError("this call can't be stored")
        self.stored += [call.id for call in calls]


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(call_log, "LONGEST_PAUSE_SECONDS", 0.001)


def test_a_busy_database_is_waited_for() -> None:
    store = Store(*[Busy("busy")] * 20, CommitUnknown())
    log = CallLog(store)

    log.put(a_call(1))

    assert log.flush(LONG_WAIT_SECONDS)
    assert store.stored == ["call-1"]


def test_one_call_that_cant_be_stored_takes_no_other_along() -> None:
    store = Store(poisoned="call-2")
    store.gate.clear()
    log = CallLog(store)
    for number in range(4):
        log.put(a_call(number))

    with capture_logs() as logged:
        store.gate.set()
        assert log.flush(LONG_WAIT_SECONDS)

    assert sorted(store.stored) == ["call-0", "call-1", "call-3"]
    assert [(line["event"], line["id"]) for line in logged] == [("a model call was not recorded", "call-2")]


def test_what_is_left_at_the_end_is_logged_with_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "PARTING_SECONDS", 0.05)
    faults: list[Any] = [Busy("busy")] * 10_000
    log = CallLog(Store(*faults))
    log.put(a_call(1))
    log.put(a_call(2))

    with capture_logs() as logged:
        log.close()

    assert {"call-1", "call-2"} <= {line.get("id") for line in logged}
