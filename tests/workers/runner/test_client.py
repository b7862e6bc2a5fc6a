"""What the runner sends is fit to be stored, whatever an agent's commands print."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ProviderRefused, ProviderUnavailable
from tests.doubles.webhook_receiver import WebhookReceiver
from web.http.json_strict import parse_object
from workers.runner.client import Wire, fit


def test_what_no_database_keeps_is_left_out() -> None:
    assert fit({"lines": [{"message": "a\0b\ud800c\x1b[1m"}], "done": 1}) == {
        "lines": [{"message": "ab?c\x1b[1m"}],
        "done": 1,
    }


@given(st.dictionaries(st.sampled_from(["message", "question"]), st.text(st.characters(codec=None))))
def test_the_platform_takes_whatever_is_fit(body: dict[str, str]) -> None:
    assert parse_object(json.dumps(fit(body)).encode()) == fit(body)


def test_a_body_that_json_can_not_hold_is_not_tried_again() -> None:
    with Wire("http://127.0.0.1:9") as wire, pytest.raises(ProviderRefused, match="JSON"):
        wire.call("POST", "/runner/heartbeat", token="t", json={"number": float("inf")})


def test_a_pause_that_is_no_number_is_passed_over() -> None:
    with WebhookReceiver() as platform, Wire(f"http://{platform.host}") as wire:
        platform.status, platform.headers = 503, {"Retry-After": "\u00b2"}  # a digit to Python, and no number
        with pytest.raises(ProviderUnavailable) as refused:
            wire.call("POST", "/runner/heartbeat", token="t", json={})

    assert refused.value.retry_after_seconds is None
