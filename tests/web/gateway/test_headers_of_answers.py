"""What a provider's answer says of itself that does not fit it, or that HTTP does not allow."""

from __future__ import annotations

import pytest

from common.models.spend import ModelCall
from tests.e2e.instance import wait_until
from tests.web.gateway.answers import FORMATS
from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.test_streams import serving, the_call
from tests.web.gateway.upstream import Script
from tests.web.world import all_of
from web.gateway.model_apis import error_message

SONNET = FORMATS["anthropic"]
WHOLE = len(SONNET.whole)
STREAM = b"".join(SONNET.stream)


@pytest.mark.slow
@pytest.mark.parametrize("length", ["10", "99999", "none"])
def test_a_length_beside_chunks_is_none(plain_agent: RunningAgent, length: str) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script(
        SONNET.stream, content_type="text/event-stream", headers={"Content-Length": length}
    )
    with serving() as server, server.called(plain_agent) as answer:
        assert (answer.status, answer.read(), answer.getheader("Content-Length")) == (200, STREAM, None)
        assert the_call().output_tokens == SONNET.count.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({"content-length": str(WHOLE)}, {"Content-Length": str(WHOLE)}),
        ({"X-Trace": "a\x01b", "X-City": "Z\u00fcrich"}, {"X-Trace": None}),
        ({"X(Trace)": "a", "Request-Id": "r"}, {"X(Trace)": None, "Request-Id": "r"}),
    ],
    ids=["two lengths", "a value", "a name"],
)
def test_a_header_that_is_not_allowed_is_left_out(
    plain_agent: RunningAgent, headers: dict[str, str], kept: dict[str, str | None]
) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script([SONNET.whole], length=WHOLE, headers=headers)
    with serving() as server:
        for number in (1, 2):
            with server.called(plain_agent) as answer:
                assert (answer.status, answer.read()) == (200, SONNET.whole)
                assert {name: answer.getheader(name) for name in kept} == kept
            wait_until("it to be recorded", lambda expected=number: len(all_of(ModelCall)) == expected)


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_informational_answer_is_not_the_answer(plain_agent: RunningAgent, status: int) -> None:
    """Else the next call on the connection would get the answer of this one."""
    plain_agent.provider("anthropic")
    interim = f"HTTP/1.1 {status} Wait\r\nLink: </a>\r\n\r\n".encode()
    plain_agent.upstream.script = Script([SONNET.whole], interim=interim * 2)
    first = plain_agent.call(SONNET)
    plain_agent.upstream.script = Script([b"{}"], interim=interim)
    second = plain_agent.call(SONNET)

    assert (first.status_code, first.data, first.headers.get("Link")) == (200, SONNET.whole, None)
    assert (second.status_code, second.data) == (200, b"{}")
    assert plain_agent.upstream.connections == 1
    assert plain_agent.calls()[0].output_tokens == SONNET.count.output


def test_an_answer_in_another_protocol_is_no_answer(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script([], status=101)

    reply = plain_agent.call(SONNET)

    assert reply.status_code == 502
    (call,) = plain_agent.calls()
    assert (call.status, call.input_tokens) == (0, 0)
    assert "can't be reached" in str(call.error)


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


def test_a_header_without_a_colon_is_one_line_in_the_log(
    plain_agent: RunningAgent, caplog: pytest.LogCaptureFixture
) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script([SONNET.whole], headers={"X-Trace": "a\r\nno colon"})

    assert plain_agent.call(SONNET).data == SONNET.whole

    assert "Failed to parse headers" in caplog.text
    assert "Traceback" not in caplog.text
