"""What becomes of calls while a provider is limited: tried again by the CLI, refused until the reset, or sent on to the
fallback.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.test import TestResponse

from common.models.run import Run
from common.services.spend.provider_limits import mark_limited
from common.settings import settings
from tests.web.factories import a_live_run, end
from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.provider_answers import FORMATS, Format
from tests.web.gateway.upstream import Script, Upstream
from tests.web.world import get, put
from web.gateway.answers.known_limits import MOST_IN_A_ROW, process_limits
from web.gateway.model_apis import error_message

SSE = "text/event-stream"
SONNET = FORMATS["anthropic"]
every_format = pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
LONG = {"retry-after": "120"}


@pytest.fixture(autouse=True)
def _nothing_is_known_of_limits() -> None:
    process_limits.forget_all()


def limited(headers: dict[str, str] | None = None, status: int = 429) -> Script:
    return Script([b'{"error":{"message":"Slow down"}}'], status=status, headers=headers or {})


def answers(format_: Format = SONNET) -> Script:
    return Script(format_.stream, content_type=SSE)


def run_of(agent: RunningAgent) -> Run:
    run: Run = get(Run, agent.run.id)
    return run


def with_fallback(
    agent: RunningAgent, second: Upstream, format_: Format = SONNET, *, fallback_model: str | None = None
) -> None:
    """The provider `first` is limited, and `second` answers."""
    path = "/v1" if format_.name == "openai" else ""
    agent.provider("second", api=format_.name, base_url=second.url + path)
    agent.provider("first", api=format_.name, fallback="second", fallback_model=fallback_model)
    agent.upstream.script = limited(LONG)
    second.script = answers(format_)


def says(reply: TestResponse) -> str:
    return str(error_message(reply.data))


# Without a fallback


@every_format
def test_a_limit_with_a_time_ends_the_run_until_then(agent: RunningAgent, format_: Format) -> None:
    agent.provider(format_.name)
    agent.upstream.script = limited(LONG)
    before = datetime.now(UTC)

    first, again = agent.call(format_), agent.call(format_)

    assert [first.status_code, again.status_code] == [400, 400]
    assert "usage limit of the model provider is reached until 20" in says(first)
    assert says(again) == says(first)
    assert "Slow down" not in says(first), "CLIs go by the provider's words"
    assert len(agent.upstream.asked) == 1
    run = run_of(agent)
    assert run.limited_until is not None
    assert before + timedelta(seconds=119) < run.limited_until < datetime.now(UTC) + timedelta(seconds=121)
    assert run.limit_reason == f"{format_.name}: Slow down"
    (call,) = agent.calls()
    assert (call.status, call.error) == (429, "Slow down")


# The longest of them counts from when the provider said it, however long it took to say so.
@pytest.mark.parametrize("seconds", ["2", "10"])
def test_a_short_limit_is_left_to_the_cli(plain_agent: RunningAgent, seconds: str) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = limited({"retry-after": seconds})

    reply = plain_agent.call(SONNET)

    assert (reply.status_code, reply.headers["retry-after"]) == (429, seconds)
    assert run_of(plain_agent).limited_until is None


@pytest.mark.parametrize("script", [limited(status=529), limited()])
def test_refusals_in_a_row_are_a_limit_whose_end_is_guessed(plain_agent: RunningAgent, script: Script) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = script

    statuses = [plain_agent.call(SONNET).status_code for _ in range(MOST_IN_A_ROW)]

    assert statuses == [script.status] * (MOST_IN_A_ROW - 1) + [400]
    run = run_of(plain_agent)
    assert run.limited_until is not None
    assert run.limited_until > datetime.now(UTC) + timedelta(seconds=30)


def test_with_the_switch_off_the_refusal_passes(plain_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_PARK_ON_LIMITS", "0")
    settings.cache_clear()
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = limited(LONG)

    replies = [plain_agent.call(SONNET) for _ in range(MOST_IN_A_ROW + 1)]

    assert {reply.status_code for reply in replies} == {429}
    assert replies[-1].headers["retry-after"] == "120"
    assert len(plain_agent.upstream.asked) == MOST_IN_A_ROW + 1
    assert run_of(plain_agent).limited_until is None


# With a fallback


def test_the_fallback_takes_the_call_at_once(plain_agent: RunningAgent, second: Upstream) -> None:
    with_fallback(plain_agent, second)

    replies = [plain_agent.call(SONNET, name="first") for _ in range(2)]

    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].data == b"".join(SONNET.stream)
    assert len(plain_agent.upstream.asked) == 1, "it is known to be limited"
    assert [asked.body for asked in second.asked] == [SONNET.request] * 2
    calls = [(call.provider, call.status) for call in plain_agent.calls()]
    assert calls == [("first", 429), ("second", 200), ("second", 200)]
    assert run_of(plain_agent).limited_until is None


@every_format
def test_the_fallbacks_model_is_asked_for(plain_agent: RunningAgent, second: Upstream, format_: Format) -> None:
    with_fallback(plain_agent, second, format_, fallback_model="another-model")

    assert plain_agent.call(format_, name="first").status_code == 200

    (asked,) = second.asked
    if format_.name == "gemini":
        assert "models/another-model:" in asked.target
        assert asked.body == format_.request
    else:
        assert json.loads(asked.body) == {**json.loads(format_.request), "model": "another-model"}
    assert plain_agent.calls()[-1].model == "another-model"


def test_a_fallback_that_does_not_offer_the_model_is_left_out(plain_agent: RunningAgent, second: Upstream) -> None:
    plain_agent.provider("second", api="anthropic", base_url=second.url, models=["claude-haiku-4-5"])
    plain_agent.provider("first", api="anthropic", fallback="second")
    plain_agent.upstream.script = limited(LONG)

    assert [plain_agent.call(SONNET, name="first").status_code for _ in range(2)] == [400, 400]

    assert second.asked == []


def test_the_guess_doubles_with_each_run_that_got_nothing_done(plain_agent: RunningAgent) -> None:
    run = plain_agent.run
    guesses = []
    for _ in range(7):
        until = mark_limited(run.id, None, "anthropic: Overloaded")
        guesses.append(round((until - get(Run, run.id).created_at) / timedelta(minutes=1)))
        end(run)
        run = a_live_run(plain_agent.task)

    assert guesses == [1, 2, 4, 8, 16, 30, 30]
    put(Run, run.id, usage={"outputTokens": 7, "calls": 1})
    until = mark_limited(run.id, None, "anthropic: Overloaded")
    assert until < datetime.now(UTC) + timedelta(minutes=2)
