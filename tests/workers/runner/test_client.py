"""What the runner sends is fit to be stored, whatever an agent's commands print."""

from __future__ import annotations

import pytest

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


def test_a_large_body_may_take_long_to_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a session over a slow link. Not all of it has to be taken within the time limit for connecting."""
    monkeypatch.setattr(client, "_CONNECT_SECONDS", 0.5)
    with upstream() as platform, Wire(platform.url) as wire:
        platform.script = Script([b"{}"], pause=lambda: platform.is_over.wait(0.6))

        assert wire.call("PUT", "/runner/runs/r/session", token="t", content=b" " * LARGE).status_code == 200

        assert len(platform.asked[0].body) >= LARGE
