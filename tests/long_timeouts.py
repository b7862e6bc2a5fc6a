"""A busy machine stands still for seconds: what the product then says is right, and not what most tests are about."""

from __future__ import annotations

import pytest

from common.database import wait_budget
from common.events import feed
from common.providers.runtime import local
from web.api import timed_reads
from web.http.server import slow_requests

LONG_SECONDS = 60.0
_WAITS = [
    (module, name, getattr(module, name))
    for module, name in (
        (feed, "ANSWER_SECONDS"),
        (wait_budget, "API_SECONDS"),
        (local, "ANSWER_SECONDS"),
        (timed_reads, "READ_SECONDS"),
        # A line of the log; some tests read the whole log.
        (slow_requests, "SLOW_SECONDS"),
    )
]


def use_long_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this process waits for Redis, databases, git and providers for as long as they may stand still."""
    for module, name, _seconds in _WAITS:
        monkeypatch.setattr(module, name, LONG_SECONDS)


def use_product_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of servers that do not answer: the opposite of `use_long_timeouts`."""
    for module, name, seconds in _WAITS:
        monkeypatch.setattr(module, name, seconds)
