"""Limits are counted for everybody in Redis, and by each process for itself where Redis is away."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flask import Flask

from common.settings import settings
from web.http.errors import TooManyRequests
from web.http.rate_limits import Limit, spend

LIMIT = Limit("test", 3, 3600)


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

    assert 0 < raised.value.retry_after_seconds <= 3600
    spend(LIMIT, "somebody else")


@pytest.mark.usefixtures("_counted")
def test_what_is_given_back_may_be_spent_again() -> None:
    for _time in range(10):
        spend(LIMIT, "a").give_back()


@pytest.mark.usefixtures("_counted")
def test_many_at_once_are_all_counted() -> None:
    passed: list[int] = []

    def try_once() -> None:
        try:
            spend(LIMIT, "a")
        except TooManyRequests:
            return
        passed.append(1)

    threads = [threading.Thread(target=try_once) for _number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(passed) == 3
