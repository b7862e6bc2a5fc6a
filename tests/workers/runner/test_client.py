"""What the runner sends is fit to be stored, whatever an agent's commands print."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from tests.web.gateway.upstream import Script, upstream
from workers.runner import client
from workers.runner.client import Wire, fit

LARGE = 30_000_000
"""Bytes: more than the kernel takes of a connection that nobody reads."""


def test_what_no_database_keeps_is_left_out() -> None:
    assert fit({"lines": [{"message": "a\0b\ud800c\x1b[1m"}], "done": 1}) == {
        "lines": [{"message": "ab?c\x1b[1m"}],
        "done": 1,
    }


def test_a_body_that_json_can_not_hold_is_not_tried_again() -> None:
    with Wire("http://127.0.0.1:9") as wire, pytest.raises(ProviderRefused, match="JSON"):
        wire.call("POST", "/runner/heartbeat", token="t", json={"number": float("inf")})


@pytest.mark.parametrize("sent", [{"content": b" " * LARGE}, {"json": {"line": " " * LARGE}}], ids=["bytes", "JSON"])
def test_a_large_body_may_take_long_to_be_sent(monkeypatch: pytest.MonkeyPatch, sent: dict[str, Any]) -> None:
    """As a session over a slow link. Not all of it has to be taken within the time limit for connecting."""
    monkeypatch.setattr(client, "_CONNECT_SECONDS", 0.5)
    with upstream() as platform, Wire(platform.url) as wire:
        platform.script = Script([b"{}"], pause=lambda: platform.is_over.wait(0.6))

        assert wire.call("PUT", "/runner/runs/r/session", token="t", **sent).status_code == 200

        assert len(platform.asked[0].body) >= LARGE


def test_a_platform_that_stops_reading_is_one_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 0.5)
    with upstream() as platform, Wire(platform.url) as wire:
        platform.script = Script(pause=platform.is_over.wait)

        with pytest.raises(ProviderUnavailable, match="ReadTimeout"):
            wire.call("PUT", "/runner/runs/r/session", token="t", content=b" " * LARGE)
