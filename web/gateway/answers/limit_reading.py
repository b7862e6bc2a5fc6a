"""Reads a provider's limit off its refusal: whether it is one, and when the provider takes calls again.

Each provider says it in a place of its own:

- Anthropic: `retry-after` (seconds); `anthropic-ratelimit-<kind>-reset` (RFC 3339) beside `-remaining`, for the kinds
  requests, tokens, input-tokens, output-tokens; of a subscription `anthropic-ratelimit-unified-status: rejected` with
  `anthropic-ratelimit-unified-reset` (seconds since 1970). https://docs.claude.com/en/api/rate-limits; the unified
  headers are those that Claude Code reads. 529 (`overloaded_error`) names no time.
- OpenAI: `retry-after-ms`, `retry-after`, `x-ratelimit-reset-requests`, `x-ratelimit-reset-tokens` (spans such as
  `6m0s`) beside `x-ratelimit-remaining-…`. https://platform.openai.com/docs/guides/rate-limits. A plan's limit
  (`usage_limit_reached`) has `resets_at` (seconds since 1970) or `resets_in_seconds` in its body, as codex reads them.
  `insufficient_quota` names no time: it ends when somebody pays.
- Gemini: `google.rpc.RetryInfo` with `retryDelay` (`34s`) in the error's details. A quota of a day
  (`google.rpc.QuotaFailure`, a quotaId with `PerDay`) ends at midnight Pacific time, whatever the delay says.
  https://ai.google.dev/gemini-api/docs/rate-limits An overloaded model is a 503 (`UNAVAILABLE`) without a time.
- Within an answer whose status is 200, the error alone says it: Anthropic's `overloaded_error`, OpenAI's
  `rate_limit_exceeded` with `Please try again in 11.054s` in its message, as codex reads it, OpenRouter's `code` 429.
- All of them may answer 503 for overload or maintenance (RFC 9110, 15.6.4), sometimes with a `retry-after`.
- Others in front of these APIs: `retry-after` as seconds or as a date (RFC 9110, 10.2.3), `x-ratelimit-reset` (a span,
  or seconds or milliseconds since 1970).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from web.gateway.model_apis import error_message, message_of

STATUSES = frozenset({429, 503, 529})
LONGEST = timedelta(days=14)
"""No limit lasts longer; a later time is not believed."""
LONGEST_REASON = 300
LONGEST_SEARCHED = 2000
"""Characters of a message in which a time is looked for."""

_TOLD_WITHIN = {
    **dict.fromkeys(("rate_limit_error", "rate_limit_exceeded", "too_many_requests", "resource_exhausted"), 429),
    **dict.fromkeys(("usage_limit_reached", "insufficient_quota"), 429),
    **dict.fromkeys(("overloaded_error", "server_is_overloaded", "slow_down"), 529),
    **{str(status): status for status in STATUSES},
}
"""The status that an error within an answer stands for, by its type, code or status."""
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")
_TRY_AGAIN = re.compile(r"try again in ((?:\d{1,9}(?:\.\d{1,9})?(?:ms|[dhms]))+)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PACIFIC_MIDNIGHT_HOUR = 8
"""In UTC; an hour later than that in summer, which does no harm."""
_COUNTERS = (
    *(
        (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
    *((f"x-ratelimit-remaining{of}", f"x-ratelimit-reset{of}") for of in ("", "-requests", "-tokens")),
)
"""Pairs of headers: how much is left, and when it is full again."""


@dataclass(frozen=True)
class Limit:
    """A refusal. reason: what the provider said. until: aware UTC; None: it does not say.

    is_for_payment: it ends when somebody pays, and not by itself. is_permanent: it is no limit, but as good as one: the
    provider takes no calls until somebody sets it right. said_at: aware UTC, when the answer was there.
    """

    reason: str
    until: datetime | None = None
    is_for_payment: bool = False
    is_permanent: bool = False
    said_at: datetime = field(kw_only=True)


def read_limit(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Limit | None:
    """The limit in an answer; None if the answer says nothing of one. headers: by lower-case names. now: aware UTC."""
    if status not in STATUSES:
        return None
    return _limit(_error(body), error_message(body) or f"it answered {status}", headers, now)


def limit_in_error(error: Mapping[str, object], headers: Mapping[str, str], now: datetime) -> Limit | None:
    """The limit in an error within an answer whose status is 200; None if it says nothing of one. headers, now: as for
    `read_limit`.
    """
    named = [str(error.get(name)).lower() for name in ("type", "code", "status")]
    status = next((_TOLD_WITHIN[one] for one in named if one in _TOLD_WITHIN), None)
    if status is None:
        return None
    return _limit(error, message_of(error) or f"its answer ended with an error like {status}", headers, now)


def _limit(error: Mapping[str, object], said: str, headers: Mapping[str, str], now: datetime) -> Limit:
    reason = " ".join(said.split())[:LONGEST_REASON]
    found = next((at for at in _times(headers, error, now) if at is not None), None)
    until = found if found is not None and found <= now + LONGEST else None
    is_unpaid = "insufficient_quota" in (error.get("code"), error.get("type"))
    return Limit(reason, until, is_for_payment=is_unpaid and until is None, said_at=now)


def _times(headers: Mapping[str, str], error: Mapping[str, object], now: datetime) -> Iterator[datetime | None]:
    """When calls are taken again, by each of the sources; the most exact one first."""
    if headers.get("anthropic-ratelimit-unified-status") == "rejected":
        yield _since_1970(headers.get("anthropic-ratelimit-unified-reset"))
    yield _since_1970(error.get("resets_at"))
    yield _after(now, _number(error.get("resets_in_seconds")))
    yield from _google_times(error, now)
    milliseconds = _number(headers.get("retry-after-ms"))
    yield None if milliseconds is None else _after(now, milliseconds / 1000)
    yield _time(headers.get("retry-after"), now)
    yield _exhausted(headers, now)
    said = _TRY_AGAIN.search(str(error.get("message"))[:LONGEST_SEARCHED])
    yield None if said is None else _time(said[1], now)


def _google_times(error: Mapping[str, object], now: datetime) -> Iterator[datetime | None]:
    parts = _objects(error.get("details"))
    violations = [one for part in parts for one in _objects(part.get("violations"))]
    if any("PerDay" in str(one.get("quotaId")) for one in violations):
        midnight = now.replace(hour=_PACIFIC_MIDNIGHT_HOUR, minute=0, second=0, microsecond=0)
        yield midnight if midnight > now else midnight + timedelta(days=1)
    for part in parts:
        yield _time(part.get("retryDelay"), now)


def _objects(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _exhausted(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the last of those that are used up is there again; None if none is, or if it does not say."""
    times = [_time(headers.get(reset), now) for left, reset in _COUNTERS if _number(headers.get(left)) == 0]
    known = [at for at in times if at is not None]
    return max(known, default=None)


def _time(said: object, now: datetime) -> datetime | None:
    """A time from seconds, a span (`6m0s`), seconds or milliseconds since 1970, or a date; None for anything else."""
    text = said.strip() if isinstance(said, str) else ""
    number = _number(text)
    if number is not None:
        return _since_1970(text) if number > LONGEST.total_seconds() else _after(now, number)
    if _SPAN.fullmatch(text):
        return _after(now, sum(float(size) * _UNIT_SECONDS[unit] for size, unit in _PART.findall(text)))
    read = datetime.fromisoformat if _DATE.match(text) else parsedate_to_datetime
    try:
        at = read(text)
        return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _since_1970(said: object) -> datetime | None:
    """A time from seconds or milliseconds."""
    number = _number(said)
    if number is None:
        return None
    seconds = number / 1000 if number > 1e11 else number
    return datetime.fromtimestamp(seconds, UTC) if seconds < 1e10 else None


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None or seconds > 1e9 else now + timedelta(seconds=seconds)


def _number(said: object) -> float | None:
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    text = str(said).strip()
    return float(text) if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text) else None


def _error(body: bytes) -> dict[str, object]:
    """The object `error` of the body; empty if there is none."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(read, list) and read:
        read = read[0]
    error = read.get("error") if isinstance(read, dict) else None
    return error if isinstance(error, dict) else {}
