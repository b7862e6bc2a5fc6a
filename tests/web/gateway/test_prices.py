"""A call costs what its provider charges for it: also for another tier of service, searches, and other than text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.models.spend import ModelCall
from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.provider_answers import FORMATS, Format
from tests.web.gateway.upstream import Script, events

SSE = "text/event-stream"
SEARCHED = [{"type": "web_search_call", "action": {"type": kind}} for kind in ("search", "open_page", "search")]
GEMINI = "gemini-3-flash-preview"


def _answered(agent: RunningAgent, format_: Format, answer: dict[str, Any], *, path: str = "") -> ModelCall:
    """The recorded call whose whole answer this is."""
    body = json.dumps(answer).encode()
    agent.upstream.script = Script([body], length=len(body))
    assert agent.call(format_, path=path).data == body
    (call,) = agent.calls()
    return call


@pytest.mark.parametrize(("tier", "factor"), [("default", 1), ("priority", 2.5), ("flex", 0.5)])
def test_a_tier_of_service_has_its_price(plain_agent: RunningAgent, tier: str, factor: float) -> None:
    plain_agent.provider("openai")
    used = {"input_tokens": 100_000, "output_tokens": 10_000, "total_tokens": 110_000}
    response = {"id": "r", "model": "gpt-5.5", "service_tier": tier, "output": [], "usage": used}
    stream = events({"type": "response.completed", "response": response}, named=True)
    plain_agent.upstream.script = Script(stream, content_type=SSE)

    plain_agent.call(FORMATS["responses"])

    (call,) = plain_agent.calls()
    assert call.cost_usd == pytest.approx(factor * (100_000 * 5 + 10_000 * 30) / 1_000_000)


def test_searches_of_the_web_are_paid_by_number(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic")
    used = {"input_tokens": 1000, "output_tokens": 100, "server_tool_use": {"web_search_requests": 50}}
    answer = {"type": "message", "model": "claude-sonnet-4-5", "content": [], "usage": used}

    call = _answered(plain_agent, FORMATS["anthropic"], answer)

    assert call.cost_usd == pytest.approx((1000 * 3 + 100 * 15) / 1_000_000 + 50 * 10 / 1000)


def test_openai_names_its_searches_in_the_output(plain_agent: RunningAgent) -> None:
    """Opening a page that was found costs nothing besides its tokens."""
    plain_agent.provider("openai")
    output = [*SEARCHED, {"type": "file_search_call"}, {"type": "message"}]
    used = {"input_tokens": 1000, "output_tokens": 100}

    call = _answered(plain_agent, FORMATS["responses"], {"model": "gpt-5.5", "output": output, "usage": used})

    tokens = (1000 * 5 + 100 * 30) / 1_000_000
    assert call.cost_usd == pytest.approx(tokens + 2 * 10 / 1000 + 2.5 / 1000)


@pytest.mark.parametrize(("model", "searches"), [(GEMINI, 2 * 14 / 1000), ("gemini-2.5-flash", 35 / 1000)])
def test_gemini_names_what_it_searched_for(plain_agent: RunningAgent, model: str, searches: float) -> None:
    """Gemini 3 is paid for each search, older ones for each request that searches. A stream may repeat the searches."""
    plain_agent.provider("gemini")
    found = {"groundingMetadata": {"webSearchQueries": ["one", "two"]}}
    used = {"promptTokenCount": 1000, "candidatesTokenCount": 100}
    parts = [{"candidates": [found], "modelVersion": model, "usageMetadata": used} for _ in range(2)]
    plain_agent.upstream.script = Script(events(*parts), content_type=SSE)

    plain_agent.call(FORMATS["gemini"], path=f"v1beta/models/{model}:streamGenerateContent?alt=sse")

    (call,) = plain_agent.calls()
    price = {GEMINI: (0.5, 3)}.get(model, (0.3, 2.5))
    assert call.cost_usd == pytest.approx((1000 * price[0] + 100 * price[1]) / 1_000_000 + searches)


def test_each_sampling_is_priced_by_itself(plain_agent: RunningAgent) -> None:
    """By its own model, and as a long context only where it is one: all tokens beyond 200,000 of input are dearer."""
    plain_agent.provider("anthropic")
    samplings = [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1000, "model": "claude-sonnet-4-5"},
        {"type": "advisor_message", "input_tokens": 1000, "output_tokens": 500, "model": "claude-opus-4-5"},
    ]
    used = {
        "input_tokens": 23_000, "output_tokens": 1000, "iterations": samplings,
        "server_tool_use": {"web_search_requests": 2},
    }  # fmt: skip
    answer = {"type": "message", "model": "claude-sonnet-4-5", "content": [], "usage": used}

    call = _answered(plain_agent, FORMATS["anthropic"], answer)

    assert (call.input_tokens, call.output_tokens) == (204_000, 5000)
    sonnet, opus = 203_000 * 3 + 4500 * 15, 1000 * 5 + 500 * 25
    assert call.cost_usd == pytest.approx((sonnet + opus) / 1_000_000 + 2 * 10 / 1000)


def test_the_model_that_answered_is_the_one_that_is_paid_for(plain_agent: RunningAgent) -> None:
    """A provider may let another model answer than the one that was asked for."""
    plain_agent.provider(
        "openai", prices={"gpt-5": {"input": 1, "output": 1}, "gpt-5-large": {"input": 100, "output": 100}}
    )
    used = {"prompt_tokens": 10, "completion_tokens": 1}

    call = _answered(plain_agent, FORMATS["chat"], {"model": "gpt-5-large", "choices": [], "usage": used})

    assert call.cost_usd == pytest.approx(11 * 100 / 1_000_000)
