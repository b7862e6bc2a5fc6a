"""What a provider's answer says of itself that does not fit it, or that HTTP does not allow."""

from __future__ import annotations

from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.provider_answers import FORMATS
from tests.web.gateway.upstream import Script

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
