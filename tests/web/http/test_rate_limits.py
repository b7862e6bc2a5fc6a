"""Limits are counted for everybody in Redis, and by each process for itself where Redis is away."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from flask import Flask

from common.settings import settings
from web.http import rate_limits
from web.http.errors import TooManyRequests
from web.http.rate_limits import Limit, spend

LONG_SECONDS = 10**9
"""A window that does not end during a test."""
LIMIT = Limit("test", 3, LONG_SECONDS)


@pytest.fixture(params=["with redis", "without"])
def _counted(plain_app: Flask, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if request.param == "without":
        monkeypatch.setenv("AIWORKER_REDIS_URL", f"unix://{tmp_path}/nothing.sock")
        monkeypatch.setenv("AIWORKER_INSTANCE", f"alone-{tmp_path.name}")
        settings.cache_clear()


@pytest.mark.usefixtures("_counted")
def test_above_the_limit_the_caller_is_told_to_wait() -> None:
    for _time in range(3):
        spend(LIMIT, "a")

    with pytest.raises(TooManyRequests) as raised:
        spend(LIMIT, "a")

    assert 0 < raised.value.retry_after_seconds <= LONG_SECONDS
    spend(LIMIT, "somebody else")


@pytest.mark.usefixtures("_counted")
@pytest.mark.parametrize("times", [3, 11])
def test_as_many_pass_if_several_are_taken_at_once(times: int) -> None:
    limit = Limit("several", times, LONG_SECONDS, at_once=4)
    for _time in range(times):
        spend(limit, "a")

    for _time in range(9):
        with pytest.raises(TooManyRequests):
            spend(limit, "a")
    spend(limit, "somebody else")


def test_what_another_process_took_is_not_passed_twice(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Limit("shared", 10, LONG_SECONDS, at_once=4)
    processes = [rate_limits._ReservedCounts() for _number in range(2)]
    passed = 0
    for number in range(40):
        # Each process knows only what it took itself; the count in Redis is common.
        monkeypatch.setattr(rate_limits, "_reserved", processes[number % 2])
        with contextlib.suppress(TooManyRequests):
            spend(limit, "a")
            passed += 1

    assert passed == 10
