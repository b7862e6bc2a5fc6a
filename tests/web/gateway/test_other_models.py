"""A request that lets its provider take another model than the one that it names."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.provider_answers import FORMATS
from web.gateway.model_apis import error_message


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"models": ["gpt-5", "gpt-5-pro"]}, "gpt-5-pro"),
        ({"models": [], "fallbacks": [{"model": "gpt-5"}, {"model": "gpt-5-pro"}]}, "gpt-5-pro"),
        ({"fallback": "gpt-5-pro"}, "gpt-5-pro"),
        ({"models": ["gpt-5"] * 10_000}, "a model that it does not name"),
        ({"route": "fallback"}, "a model that it does not name"),
        ({"models": ["gpt-5"], "route": "fallback"}, None),
        ({"metadata": {"models": ["gpt-5-pro"]}}, None),
        ({"tools": [{"type": "openrouter:advisor", "parameters": {"model": "gpt-5-pro"}}]}, "gpt-5-pro"),
        ({"tools": [{"type": "openrouter:advisor", "parameters": {"model": "gpt-5"}}]}, None),
        ({"tools": [{"type": "x", "model": 7}]}, "a model that it does not name"),
    ],
)
def test_no_model_that_is_not_offered_may_answer_instead(
    plain_agent: RunningAgent, fields: dict[str, object], named: str | None
) -> None:
    plain_agent.provider("openai", models=["gpt-5"])
    body = json.dumps({"model": "gpt-5", "messages": [], **fields}).encode()

    reply = plain_agent.call(replace(FORMATS["chat"], request=body))

    assert reply.status_code == (200 if named is None else 404)
    if named is not None:
        assert f"instead, {named}; it offers: gpt-5" in str(error_message(reply.data))
    assert len(plain_agent.upstream.asked) == (1 if named is None else 0)


@pytest.mark.parametrize("advisor", ["claude-opus-4-6", "claude-sonnet-4-5"])
def test_no_model_that_is_not_offered_may_advise(plain_agent: RunningAgent, advisor: str) -> None:
    """Anthropic's advisor is paid for at the price of its own model."""
    plain_agent.provider("anthropic", models=["claude-sonnet-4-5"])
    tools = [{"name": "Bash", "input_schema": {"properties": {"model": {}}}}, {
        "type": "advisor_20260301", "name": "advisor", "model": advisor,
    }]  # fmt: skip
    body = json.dumps({"model": "claude-sonnet-4-5", "messages": [], "tools": tools}).encode()

    reply = plain_agent.call(replace(FORMATS["anthropic"], request=body))

    assert reply.status_code == (404 if "opus" in advisor else 200)
    assert ("claude-opus-4-6" in str(error_message(reply.data))) == ("opus" in advisor)
