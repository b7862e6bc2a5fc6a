"""What a provider's answer says of itself that does not fit it, or that HTTP does not allow."""

from __future__ import annotations

import pytest

from tests.web.gateway.answers import FORMATS
from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.upstream import Script
from web.gateway.model_apis import error_message

SONNET = FORMATS["anthropic"]
WHOLE = len(SONNET.whole)


def test_an_informational_answer_is_not_the_answer(plain_agent: RunningAgent) -> None:
    """Else the next call on the connection would get the answer of this one."""
    plain_agent.provider("anthropic")
    interim = b"HTTP/1.1 103 Wait\r\nLink: </a>\r\n\r\n"
    plain_agent.upstream.script = Script([SONNET.whole], interim=interim * 2)
    first = plain_agent.call(SONNET)
    plain_agent.upstream.script = Script([b"{}"], interim=interim)
    second = plain_agent.call(SONNET)

    assert (first.status_code, first.data, first.headers.get("Link")) == (200, SONNET.whole, None)
    assert (second.status_code, second.data) == (200, b"{}")
    assert plain_agent.upstream.connections == 1
    assert plain_agent.calls()[0].output_tokens == SONNET.count.output


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_is_none(plain_agent: RunningAgent, status: int) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script([], status=status, length=0)

    reply = plain_agent.call(SONNET)

    assert reply.status_code == 502
    (call,) = plain_agent.calls()
    assert (call.status, call.input_tokens, call.cost_usd) == (0, 0, 0)
    assert call.error == error_message(reply.data)
    assert f"anthropic answered {status}, without content" in str(call.error)
