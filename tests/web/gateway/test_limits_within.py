"""A limit that a provider tells of within an answer of status 200 does what a refusal for the same limit does."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from common.models.run import Run
from common.settings import settings
from tests.e2e.instance import wait_until
from tests.patience import PATIENCE_SECONDS
from tests.web.gateway.answers import FORMATS, Format
from tests.web.gateway.conftest import KEY, RunningAgent
from tests.web.gateway.test_fallbacks import answers, run_of, says
from tests.web.gateway.test_streams import serving, the_call
from tests.web.gateway.upstream import Script, Upstream, events
from tests.web.world import get
from web.gateway.limit_book import MOST_IN_A_ROW, book

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
    book.forget_all()


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


def test_an_overloaded_gemini_is_replaced_too(plain_agent: RunningAgent, second: Upstream) -> None:
    """It says so with a 503, which a stream can only repeat within."""
    format_ = FORMATS["gemini"]
    with_fallback(plain_agent, second, format_)
    error = {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}
    plain_agent.upstream.script = stream(*events({"error": error}))

    assert plain_agent.call(format_, name="first").data == b"".join(format_.stream)


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("gemini", [b"[", b'{\n  "er', json.dumps(EXHAUSTED).encode().join((b'ror": ', b"}\n")), b"]\n"]),
        ("gemini", [b'[{"error": ' + json.dumps(EXHAUSTED).encode() + b"}"]),
        ("chat", [b'\n{"error":{"code":429,"message":"Slow down"},"user_id":"u"}']),
        ("anthropic", [b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}']),
    ],
    ids=["a list", "a list without an end", "an object", "an object with a type"],
)
def test_an_error_in_json_goes_to_the_fallback_too(
    plain_agent: RunningAgent, second: Upstream, name: str, pieces: list[bytes]
) -> None:
    """Gemini streams a list in JSON to who does not ask for `alt=sse`."""
    format_ = FORMATS[name]
    with_fallback(plain_agent, second, format_)
    plain_agent.upstream.script = Script(pieces)

    assert plain_agent.call(format_, name="first").data == b"".join(format_.stream)
    assert [call[:2] for call in statuses(plain_agent)] == [("first", 200), ("second", 200)]


@every_name
def test_an_answer_in_json_passes_unchanged_where_there_is_a_fallback(
    plain_agent: RunningAgent, second: Upstream, name: str
) -> None:
    format_ = FORMATS[name]
    with_fallback(plain_agent, second, format_)
    plain_agent.upstream.script = Script([format_.whole[:3], format_.whole[3:]])

    assert plain_agent.call(format_, name="first").data == format_.whole

    assert statuses(plain_agent) == [("first", 200, format_.count.output)]


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


@pytest.mark.parametrize("error", [{"type": "api_error", "message": "Oh"}, {"type": "error", "message": "x"}, "Oh"])
def test_another_error_passes(plain_agent: RunningAgent, second: Upstream, error: object) -> None:
    with_fallback(plain_agent, second, FORMATS["anthropic"])
    said = [*BEFORE["anthropic"], *events({"type": "error", "error": error}, named=True)]
    plain_agent.upstream.script = stream(*said)

    assert plain_agent.call(FORMATS["anthropic"], name="first").data == b"".join(said)
    assert second.asked == []


def test_a_short_limit_passes_whole(plain_agent: RunningAgent, second: Upstream) -> None:
    with_fallback(plain_agent, second, FORMATS["responses"])
    short = {**LIMITED, "message": "Please try again in 850ms."}
    said = [*BEFORE["responses"], *events({"type": "response.failed", "response": {"error": short}})]
    plain_agent.upstream.script = stream(*said)

    reply = plain_agent.call(FORMATS["responses"], name="first")

    assert (reply.status_code, reply.data, second.asked) == (200, b"".join(said), [])
    assert reply.headers["Content-Type"] == SSE


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


def test_a_stream_without_a_content_type_goes_to_the_fallback_too(plain_agent: RunningAgent, second: Upstream) -> None:
    with_fallback(plain_agent, second, FORMATS["anthropic"])
    plain_agent.upstream.script = Script(ERRORS["anthropic"], content_type="application/json")

    reply = plain_agent.call(FORMATS["anthropic"], name="first")

    assert reply.data == b"".join(FORMATS["anthropic"].stream)


def test_an_error_without_an_end_of_its_line_goes_to_the_fallback_too(
    plain_agent: RunningAgent, second: Upstream
) -> None:
    with_fallback(plain_agent, second, FORMATS["gemini"])
    plain_agent.upstream.script = stream(b"".join(ERRORS["gemini"]).rstrip())

    assert plain_agent.call(FORMATS["gemini"], name="first").data == b"".join(FORMATS["gemini"].stream)


def test_a_stream_that_breaks_off_at_its_beginning_is_half_a_stream(
    plain_agent: RunningAgent, second: Upstream
) -> None:
    with_fallback(plain_agent, second, FORMATS["anthropic"])
    plain_agent.upstream.script = Script(BEFORE["anthropic"], content_type=SSE, fault="half")

    with pytest.raises(ConnectionResetError):
        plain_agent.call(FORMATS["anthropic"], name="first")

    (call,) = plain_agent.calls()
    assert "ended the answer too early" in str(call.error)
    assert (call.input_tokens, second.asked) == (120, [])


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


@pytest.mark.slow
def test_a_limit_in_an_answer_in_json_parks_the_run(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai")
    plain_agent.upstream.script = Script([b'{"error":{"code":429,"message":"Please try again in 300s"}}'])

    assert [plain_agent.call(FORMATS["chat"]).status_code for _ in range(2)] == [200, 400]


def test_a_key_in_the_error_is_not_kept(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai")
    error = {"code": 429, "message": f"{'x' * 290}{KEY} must try again in 300s"}
    plain_agent.upstream.script = stream(*events({"error": error}))

    plain_agent.call(FORMATS["chat"])

    assert "x*** must" in str(run_of(plain_agent).limit_reason)


@pytest.mark.parametrize("said", [ERRORS["anthropic"], [*CONTENT["anthropic"], *ERRORS["anthropic"]]])
def test_limits_in_a_row_park_the_run_for_a_time_that_is_guessed(plain_agent: RunningAgent, said: list[bytes]) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = stream(*said)

    replies = [plain_agent.call(FORMATS["anthropic"]) for _ in range(MOST_IN_A_ROW + 1)]

    assert [reply.status_code for reply in replies] == [200] * MOST_IN_A_ROW + [400]
    assert run_of(plain_agent).limited_until is not None


def test_a_good_answer_between_begins_the_row_anew(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic")
    for _ in range(2):
        plain_agent.upstream.script = stream(*CONTENT["anthropic"], *ERRORS["anthropic"])
        for _ in range(MOST_IN_A_ROW - 1):
            plain_agent.call(FORMATS["anthropic"])
        plain_agent.upstream.script = answers()
        plain_agent.call(FORMATS["anthropic"])

    assert run_of(plain_agent).limited_until is None


def test_the_next_call_goes_to_the_fallback(plain_agent: RunningAgent, second: Upstream) -> None:
    with_fallback(plain_agent, second, FORMATS["anthropic"])
    said = [*CONTENT["anthropic"], *ERRORS["anthropic"]]
    plain_agent.upstream.script = stream(*said)

    replies = [plain_agent.call(FORMATS["anthropic"], name="first") for _ in range(2)]

    assert [reply.data for reply in replies] == [b"".join(said), b"".join(FORMATS["anthropic"].stream)]
    assert run_of(plain_agent).limited_until is None


def test_with_the_switch_off_nothing_waits(plain_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_PARK_ON_LIMITS", "0")
    settings.cache_clear()
    plain_agent.provider("openai")
    plain_agent.upstream.script = stream(*ERRORS["responses"])

    assert [plain_agent.call(FORMATS["responses"]).status_code for _ in range(MOST_IN_A_ROW + 1)] == [200] * 5


# In the gateway's own process


@pytest.mark.slow
def test_a_beginning_passes_as_soon_as_there_is_content(plain_agent: RunningAgent, second: Upstream) -> None:
    gate = threading.Event()
    format_ = FORMATS["anthropic"]
    with_fallback(plain_agent, second, format_)
    begun = b"".join(format_.stream[:2])
    plain_agent.upstream.script = stream(begun, *format_.stream[2:], gate=gate)
    with serving() as server, server.called(plain_agent, format_, name="first") as answer:
        first = answer.read1()
        assert first == begun
        gate.set()
        assert first + answer.read() == b"".join(format_.stream)


@pytest.mark.slow
def test_a_beginning_is_not_held_for_long(
    plain_agent: RunningAgent, second: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_HOLD_SECONDS", "0.1")
    gate = threading.Event()
    format_ = FORMATS["anthropic"]
    with_fallback(plain_agent, second, format_)
    plain_agent.upstream.script = stream(*format_.stream, gate=gate)
    with serving() as server, server.called(plain_agent, format_, name="first") as answer:
        first = answer.read1()
        assert first == format_.stream[0]
        gate.set()
        assert first + answer.read() == b"".join(format_.stream)


@pytest.mark.slow
def test_a_caller_that_hangs_up_at_the_beginning_ends_the_providers_work(
    plain_agent: RunningAgent, second: Upstream
) -> None:
    format_ = FORMATS["anthropic"]
    with_fallback(plain_agent, second, format_)
    plain_agent.upstream.script = stream(*format_.stream, gate=threading.Event())
    with serving() as server:
        with server.asked(plain_agent, format_, name="first"):
            wait_until("the provider to be asked", lambda: plain_agent.upstream.asked != [])
        assert plain_agent.upstream.hung_up.wait(PATIENCE_SECONDS)
        assert "the caller closed the connection" in str(the_call().error)


@pytest.mark.slow
def test_a_limit_that_parks_is_noted_in_the_gateways_process(plain_agent: RunningAgent) -> None:
    format_ = FORMATS["responses"]
    plain_agent.provider("openai")
    plain_agent.upstream.script = stream(*CONTENT["responses"], *ERRORS["responses"])
    with serving() as server:
        with server.called(plain_agent, format_) as answer:
            assert answer.status == 200
            answer.read()
        with server.called(plain_agent, format_) as answer:
            assert answer.status == 400
    assert get(Run, plain_agent.run.id).limited_until is not None
