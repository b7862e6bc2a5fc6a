"""When a provider takes calls again, as each of them says it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from web.gateway.answers.limit_reading import Limit, read_limit

NOW = datetime(2026, 3, 31, 12, 0, 0, tzinfo=UTC)


def after(**span: float) -> datetime:
    return NOW + timedelta(**span)


def read(headers: dict[str, str] | None = None, error: object = None, status: int = 429) -> Limit:
    body = json.dumps({"error": error or {"message": "Too many"}}).encode()
    found = read_limit(status, headers or {}, body, NOW)
    assert found is not None
    return found


def retry_info(delay: str, *violations: dict[str, str]) -> dict[str, object]:
    return {
        "code": 429,
        "message": "You exceeded your current quota",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": list(violations)},
            {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": "https://ai.google.dev"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ],
    }


UNIFIED = {
    "anthropic-ratelimit-unified-status": "rejected",
    "anthropic-ratelimit-unified-reset": str(int(after(hours=3).timestamp())),
    "anthropic-ratelimit-unified-5h-status": "rejected",
    "retry-after": "10800",
}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "20"}, after(seconds=20)),
        ({"retry-after": "Tue, 31 Mar 2026 12:05:00 GMT"}, after(minutes=5)),
        ({"retry-after-ms": "1500", "retry-after": "2"}, after(seconds=1.5)),
        (
            {
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2026-03-31T12:00:01Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-03-31T12:00:40Z",
                "anthropic-ratelimit-output-tokens-remaining": "0",
                "anthropic-ratelimit-output-tokens-reset": "2026-03-31T12:00:50Z",
            },
            after(seconds=50),
        ),
        (UNIFIED, after(hours=3)),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-tokens": "12h",
            },
            after(minutes=6),
        ),
        (
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(after(minutes=2).timestamp() * 1000))},
            after(minutes=2),
        ),
    ],
)
def test_the_headers_name_the_time(headers: dict[str, str], expected: datetime) -> None:
    assert read(headers) == Limit("Too many", expected, said_at=NOW)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (retry_info("20s", {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}), after(seconds=20)),
        (
            retry_info("20s", {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}),
            datetime(2026, 4, 1, 8, tzinfo=UTC),
        ),
        (
            {
                "message": "The usage limit has been reached",
                "type": "usage_limit_reached",
                "resets_at": int(after(hours=2).timestamp()),
                "resets_in_seconds": 7200,
            },
            after(hours=2),
        ),
        ({"message": "Limit", "type": "usage_limit_reached", "resets_in_seconds": 90}, after(seconds=90)),
        ({"message": "Limit 30000. Please try again in 11.054s. Visit x"}, after(seconds=11.054)),
        ({"message": "Please try again in a while, or in 5s"}, None),
    ],
)
def test_the_body_names_the_time(error: dict[str, object], expected: datetime) -> None:
    assert read(error=error).until == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "soon"},
        {"retry-after": "1" * 400},
        {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": "tomorrow"},
    ],
)
def test_nonsense_names_no_time(headers: dict[str, str]) -> None:
    assert read(headers) == Limit("Too many", said_at=NOW)


def test_an_unpaid_bill_is_a_limit_that_ends_with_a_payment() -> None:
    error = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}

    assert read(error=error).is_for_payment
    assert not read({"retry-after": "3600"}, error).is_for_payment


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_refusal_for_a_rate_or_for_overload_is_a_limit(status: int) -> None:
    assert read({"retry-after": "20"}, status=status).until == after(seconds=20)


@pytest.mark.parametrize("status", [400, 401, 500])
def test_other_errors_are_no_limits(status: int) -> None:
    assert read_limit(status, {"retry-after": "20"}, b"{}", NOW) is None
