"""A limit that a provider tells of within an answer of status 200 does what a refusal for the same limit does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.web.gateway.conftest import KEY, RunningAgent
from tests.web.gateway.provider_answers import FORMATS, Format
from tests.web.gateway.test_fallbacks import answers, run_of, says
from tests.web.gateway.upstream import Script, Upstream, events
from web.gateway.answers.known_limits import process_limits

SSE = "text/event-stream"
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
STARTED = {"id": "r", "model": "gpt-5.5", "instructions": "x" * 5000, "error": None, "usage": None}
WAIT = "Rate limit reached for gpt-5.5. Please try again in 2m0.5s."
LIMITED = {"code": "rate_limit_exceeded", "message": WAIT}
ROLE = {"id": "c", "model": "gpt-5", "choices": [{"delta": {"role": "assistant", "content": ""}}], "usage": None}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "120.5s"}
EXHAUSTED = {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": [RETRY]}
BEFORE: dict[str, list[bytes]] = {
    "anthropic": [FORMATS["anthropic"].stream[0], *events({"type": "ping"}, named=True)],
    "responses": events({"type": "response.created", "response": STARTED}, named=True),
    "chat": [b": OPENROUTER PROCESSING\n\n", *events(ROLE)],
    "gemini": [],
}
ERRORS: dict[str, list[bytes]] = {
    "anthropic": events(OVERLOADED, named=True),
    "responses": events(
        {"type": "error", "error": {"message": "Failed"}},
        {"type": "response.failed", "response": {**STARTED, "error": LIMITED}},
        named=True,
    ),
    "chat": events({"error": {"code": 429, "message": WAIT}}, end=b"data: [DONE]\n\n"),
    "gemini": events({"error": EXHAUSTED}),
}
CONTENT: dict[str, list[bytes]] = {
    "anthropic": FORMATS["anthropic"].stream[:4],
    "responses": FORMATS["responses"].stream[:2],
    "chat": FORMATS["chat"].stream[:1],
    "gemini": FORMATS["gemini"].stream[:1],
}
every_name = pytest.mark.parametrize("name", FORMATS)
names_a_time = pytest.mark.parametrize("name", ["responses", "chat", "gemini"])


@pytest.fixture(autouse=True)
def _nothing_is_known_of_limits() -> None:
    process_limits.forget_all()


def stream(*pieces: bytes, headers: dict[str, str] | None = None, gate: threading.Event | None = None) -> Script:
    return Script(pieces, content_type=SSE, headers=headers or {}, gate=gate)


def with_fallback(agent: RunningAgent, second: Upstream, format_: Format) -> None:
    path = "/v1" if format_.name == "openai" else ""
    agent.provider("second", api=format_.name, base_url=second.url + path)
    agent.provider("first", api=format_.name, fallback="second")
    second.script = answers(format_)


def statuses(agent: RunningAgent) -> list[tuple[str, int, int]]:
    return [(call.provider, call.status, call.output_tokens) for call in agent.calls()]


# Before anything of the answer


@every_name
@pytest.mark.parametrize("before", [False, True], ids=["at once", "after the beginning"])
def test_the_fallback_answers_instead(plain_agent: RunningAgent, second: Upstream, name: str, before: bool) -> None:
    format_ = FORMATS[name]
    with_fallback(plain_agent, second, format_)
    plain_agent.upstream.script = stream(*(BEFORE[name] if before else []), *ERRORS[name])

    replies = [plain_agent.call(format_, name="first") for _ in range(2)]

    assert [reply.data for reply in replies] == [b"".join(format_.stream)] * 2
    assert len(plain_agent.upstream.asked) == 1, "it is known to be limited"
    output = format_.count.output
    first, *others = statuses(plain_agent)
    assert (first[:2], others) == (("first", 200), [("second", 200, output), ("second", 200, output)])
    assert run_of(plain_agent).limited_until is None


@every_name
def test_an_answer_that_is_none_passes_unchanged_where_there_is_a_fallback(
    plain_agent: RunningAgent, second: Upstream, name: str
) -> None:
    format_ = FORMATS[name]
    with_fallback(plain_agent, second, format_)
    said = [*BEFORE[name], *format_.stream]
    plain_agent.upstream.script = stream(*said)

    assert plain_agent.call(format_, name="first").data == b"".join(said)

    assert statuses(plain_agent) == [("first", 200, format_.count.output)]


def test_if_both_are_limited_the_run_waits(agent: RunningAgent, second: Upstream) -> None:
    format_ = FORMATS["responses"]
    with_fallback(agent, second, format_)
    agent.upstream.script = stream(*ERRORS["responses"])
    second.script = stream(*BEFORE["responses"], *ERRORS["responses"])

    reply = agent.call(format_, name="first")

    # The last one's answer could go nowhere else, so it was not held back.
    assert (reply.status_code, reply.data) == (200, b"".join(second.script.pieces))
    assert "usage limit" in says(agent.call(format_, name="first"))
    assert run_of(agent).limit_reason == f"first: {WAIT}; second: {WAIT}"


# After the beginning was passed on


@names_a_time
def test_a_limit_with_a_time_parks_the_run(agent: RunningAgent, name: str) -> None:
    format_ = FORMATS[name]
    agent.provider(format_.name)
    said = [*CONTENT[name], *ERRORS[name]]
    agent.upstream.script = stream(*said)
    before = datetime.now(UTC)

    first, again = agent.call(format_), agent.call(format_)

    assert (first.data, again.status_code) == (b"".join(said), 400)
    assert "usage limit of the model provider is reached until 20" in says(again)
    run = run_of(agent)
    assert run.limited_until is not None
    assert before + timedelta(seconds=119) < run.limited_until < datetime.now(UTC) + timedelta(seconds=121)


def test_a_key_in_the_error_is_not_kept(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai")
    error = {"code": 429, "message": f"{'x' * 290}{KEY} must try again in 300s"}
    plain_agent.upstream.script = stream(*events({"error": error}))

    plain_agent.call(FORMATS["chat"])

    assert "x*** must" in str(run_of(plain_agent).limit_reason)
