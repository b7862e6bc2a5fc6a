"""An error that a provider sends after the status 200, within its answer, is recorded as what it is."""

from __future__ import annotations

import pytest

from tests.web.gateway.conftest import KEY, RunningAgent
from tests.web.gateway.provider_answers import FORMATS
from tests.web.gateway.upstream import Script, events

SSE = "text/event-stream"
SONNET = FORMATS["anthropic"]
ERROR = {"type": "overloaded_error", "message": f"Overloaded {KEY}" + "!" * 600}
STARTED = {"id": "r", "model": "gpt-5.5", "instructions": "x" * 5000, "error": None, "usage": None}
ERRORS: dict[str, list[dict[str, object]]] = {
    "anthropic": [{"type": "error", "error": ERROR}],
    "responses": [
        {"type": "response.created", "response": STARTED},
        {"type": "response.failed", "response": {**STARTED, "error": ERROR}},
    ],
    "chat": [{"id": "c", "error": ERROR, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}],
    "gemini": [{"error": ERROR}],
}


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_instead_of_an_answer_is_recorded_and_costs_nothing(plain_agent: RunningAgent, name: str) -> None:
    """A provider may find only after the status 200 that it has no room for the call."""
    format_ = FORMATS[name]
    plain_agent.provider(format_.name)
    plain_agent.upstream.script = Script(events(*ERRORS[name]), content_type=SSE)

    plain_agent.call(format_)

    (call,) = plain_agent.calls()
    assert (call.status, call.error) == (200, ("Overloaded ***" + "!" * 600)[:500])
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (0, 0, 0)


def test_what_came_before_an_error_in_a_stream_is_counted(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic")
    text = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "word " * 400}}
    stream = [SONNET.stream[0], *events(text, {"type": "error", "error": ERROR})]
    plain_agent.upstream.script = Script(stream, content_type=SSE)

    plain_agent.call(SONNET)

    (call,) = plain_agent.calls()
    assert (call.input_tokens, call.cached_tokens) == (120, 4000)
    assert 400 <= call.output_tokens <= 600
    assert str(call.error).startswith("Overloaded ***!")


def test_an_error_in_an_answer_in_json_is_recorded(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai")
    plain_agent.upstream.script = Script([b'{"error":{"message":"No room","code":502}}'])

    plain_agent.call(FORMATS["chat"])

    (call,) = plain_agent.calls()
    assert (call.status, call.error, call.input_tokens) == (200, "No room", 0)
