"""What the words of a program's end mean: refused by the provider and until when, broken, done, or a question."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workers.runner.drivers.program import End, Ending, Exit
from workers.runner.drivers.refusals import classify_exit, retry_at
from workers.runner.programs.program_run import is_temporary

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def _exit(
    code: int = 1, said: str | None = None, stderr: str = "", *, ok: bool = False, question: bool = False
) -> Exit:
    return Exit(code, stderr, None if said is None else End(ok, said), question)


@pytest.mark.parametrize(
    "said",
    [
        'Failed to authenticate. API Error: 401 {"type":"error","error":{"type":"authentication_error"}}',
        "API key not valid. Please pass a valid API key.",
        "API Error: 500 internal server error",
        "You exceeded your current quota, please check your plan and billing details.",
        "stream disconnected before completion: error sending request for url",
        "connect ECONNREFUSED 127.0.0.1:9",
        "429 Too Many Requests",
        'Internal error: scripted fault: {"service": "session", "errorName": "APIError"}',
    ],
)
def test_what_the_provider_says_is_a_refusal(said: str) -> None:
    assert classify_exit(_exit(said=said), program="Codex", now=NOW).ending is Ending.REFUSED
    assert classify_exit(_exit(stderr=said), program="Codex", now=NOW).ending is Ending.REFUSED


LASTING = [
    'API Error: 404 {"type":"error","error":{"type":"not_found_error","message":"model: claude-sonnet-4-5x"}}',
    "unexpected status 404 Not Found: The model `gpt-9` does not exist or you do not have access to it.",
    "API Error: 400 prompt is too long: 250000 tokens > 200000 maximum",
    'API Error: 413 {"error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}',
    'API Error: 400 {"error":{"message":"The run has used 681 tokens; its limit is 500 (maxTokens)"}}',
    "The run has cost 0.5012 USD; its limit is 0.5 (maxCostUsd)",
]


@pytest.mark.parametrize("said", LASTING)
def test_what_would_be_refused_again_is_a_refusal_that_does_not_pass(said: str) -> None:
    found = classify_exit(_exit(said=said), program="Codex", now=NOW)

    assert (found.ending, found.until) == (Ending.REFUSED, None)
    assert found.reason == f"The provider refused the call: {said}"
    assert not is_temporary(found.reason)


@pytest.mark.parametrize(
    "said",
    [
        "No conversation found with session ID: 1234",
        "API Error: 400 messages.0: text content blocks must be non-empty",
        "line 500 of the file is wrong",
    ],
)
def test_everything_else_is_broken(said: str) -> None:
    found = classify_exit(_exit(said=said), program="Codex", now=NOW)
    assert (found.ending, found.reason) == (Ending.BROKEN, f"Codex failed: {said}")


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ("Rate limit reached. Please try again in 20s.", timedelta(seconds=20)),
        ("retry-after: 30", timedelta(seconds=30)),
        ("Try again in 1h 2m", timedelta(hours=1, minutes=2)),
        ("usage limit reached|1795611600", datetime.fromtimestamp(1795611600, UTC) - NOW),
        ("You've hit your limit · resets 3pm (UTC)", timedelta(hours=3)),
        ("until 2026-11-25T13:00:00Z", timedelta(hours=1)),
    ],
)
def test_the_time_to_try_again_is_read(said: str, after: timedelta) -> None:
    assert retry_at(said, now=NOW) == NOW + after


@pytest.mark.parametrize("said", ["", "429", "try again in 9999999 hours", "limit reached|1600000000"])
def test_no_sensible_time_is_none(said: str) -> None:
    assert retry_at(said, now=NOW) is None


def test_an_open_question_comes_before_all() -> None:
    assert classify_exit(_exit(0, "Done", ok=True, question=True), program="Codex").ending is Ending.QUESTION
    assert classify_exit(_exit(1, "401", question=True), program="Codex").ending is Ending.QUESTION


def test_a_whole_turn_is_done_whatever_it_says() -> None:
    assert classify_exit(_exit(0, "Handled the 401 and the rate limit", ok=True), program="Codex").ending is Ending.DONE


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (_exit(0), "Codex ended without a result."),
        (_exit(137), "Codex was killed by signal 9."),
        (_exit(3, stderr="first\nlast words\n\n"), "Codex exited with 3: last words."),
        (replace(_exit(1, stderr="401\nno such file"), late_stderr=""), "Codex exited with 1: no such file."),
    ],
)
def test_an_end_without_a_word_of_the_provider_is_told(left: Exit, reason: str) -> None:
    found = classify_exit(left, program="Codex")
    assert (found.ending, found.reason) == (Ending.BROKEN, reason)
