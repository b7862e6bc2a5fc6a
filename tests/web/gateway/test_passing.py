"""Calls pass through the gateway byte for byte, with the real key, and each is counted to the token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.services.agent_api.agent_api import save_usage
from common.values.runs.model_provider import TokenCount
from common.values.states import Role
from tests import builders
from tests.web.gateway.conftest import KEY, RunningAgent
from tests.web.gateway.provider_answers import FORMATS, Format
from tests.web.gateway.upstream import Script

SSE = "text/event-stream; charset=utf-8"
every_format = pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
SONNET_COST = (120 * 3 + 4000 * 0.3 + 20 * 3.75 + 10 * 6 + 77 * 15) / 1_000_000


def _counted(call: object) -> TokenCount:
    names = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens")
    return TokenCount(*(getattr(call, name) for name in names))


def _without_hour(count: TokenCount) -> TokenCount:
    return TokenCount(count.input, count.cached, count.cache_write, count.output)


@every_format
def test_a_stream_passes_unchanged_and_is_counted(agent: RunningAgent, format_: Format) -> None:
    agent.provider(format_.name)
    agent.upstream.script = Script(format_.stream, content_type=SSE, headers={"request-id": "req_1"})

    reply = agent.call(format_)

    assert reply.status_code == 200
    assert reply.data == b"".join(format_.stream)
    assert reply.headers["Content-Type"] == SSE
    assert reply.headers["request-id"] == "req_1"
    (call,) = agent.calls()
    assert _counted(call) == _without_hour(format_.count)
    assert (call.model, call.status, call.error) == (format_.model, 200, None)
    assert call.cost_usd is not None
    assert call.cost_usd > 0
    assert call.first_byte_ms is not None


@every_format
def test_a_whole_answer_passes_unchanged_and_is_counted(plain_agent: RunningAgent, format_: Format) -> None:
    plain_agent.provider(format_.name)
    plain_agent.upstream.script = Script([format_.whole], length=len(format_.whole))

    reply = plain_agent.call(format_)

    assert reply.data == format_.whole
    assert reply.headers["Content-Length"] == str(len(format_.whole))
    (call,) = plain_agent.calls()
    assert _counted(call) == _without_hour(format_.count)


def test_calls_add_up_in_the_run(agent: RunningAgent) -> None:
    agent.provider("anthropic")
    agent.upstream.script = Script(FORMATS["anthropic"].stream, content_type=SSE)

    for _ in range(3):
        agent.call(FORMATS["anthropic"])

    for call in agent.calls():
        assert (call.run_id, call.task_id, call.project_id) == (agent.run.id, agent.task.id, agent.task.project_id)
        assert (call.person, call.driver, call.provider) == (agent.task.created_by, "claude", "anthropic")
        assert call.cost_usd == pytest.approx(SONNET_COST)
    usage = agent.usage()
    assert usage.pop("costUsd") == pytest.approx(3 * SONNET_COST)
    assert usage == {
        "inputTokens": 360, "outputTokens": 231, "cachedTokens": 12_000, "cacheWriteTokens": 90, "calls": 3,
        "unpricedCalls": 0,
    }  # fmt: skip


def test_the_provider_gets_the_request_as_it_was_with_its_own_key(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic")
    headers = {
        "anthropic-version": "2023-06-01", "anthropic-beta": "one,two", "User-Agent": "cli/1", "Accept": "*/*",
        "Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "Accept-Encoding": "gzip", "x-stainless-lang": "js",
    }  # fmt: skip

    plain_agent.call(FORMATS["anthropic"], path="v1/messages?beta=true&key=x", headers=headers)

    (asked,) = plain_agent.upstream.asked
    assert (asked.method, asked.target) == ("POST", "/v1/messages?beta=true")
    assert asked.body == FORMATS["anthropic"].request
    assert asked.headers["x-api-key"] == KEY
    passed = {"anthropic-version", "anthropic-beta", "user-agent", "accept", "x-stainless-lang"}
    assert {name: asked.headers[name] for name in passed} == {
        name: value for name, value in {key.lower(): value for key, value in headers.items()}.items() if name in passed
    }
    assert not {"cookie", "x-forwarded-for", "authorization"} & set(asked.headers)
    assert asked.headers["accept-encoding"] == "identity"
    assert plain_agent.token not in str(asked)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("anthropic", {}, {"x-api-key": KEY}),
        ("openai", {}, {"authorization": f"Bearer {KEY}"}),
        ("gemini", {}, {"x-goog-api-key": KEY}),
        ("openai", {"login": "none", "key": None}, {}),
        ("anthropic", {"login": "subscription"}, {"authorization": f"Bearer {KEY}"}),
        (
            "anthropic",
            {"login": "subscription", "key": "sk-ant-oat01-secret"},
            {"authorization": "Bearer sk-ant-oat01-secret", "anthropic-beta": "oauth-2025-04-20"},
        ),
    ],
)
def test_the_key_is_put_on_as_the_login_needs(
    plain_agent: RunningAgent, name: str, values: dict[str, object], expected: dict[str, str]
) -> None:
    plain_agent.provider(name, **values)  # type: ignore[arg-type]

    format_ = next(one for one in FORMATS.values() if one.name == name)
    assert plain_agent.call(format_).status_code == 200

    (asked,) = plain_agent.upstream.asked
    names = {"x-api-key", "authorization", "x-goog-api-key", "anthropic-beta"}
    assert {key: value for key, value in asked.headers.items() if key in names} == expected


@pytest.mark.parametrize("place", ["x-api-key", "Authorization", "x-goog-api-key", "key"])
def test_the_token_is_found_wherever_a_cli_puts_it(plain_agent: RunningAgent, place: str) -> None:
    plain_agent.provider("gemini")
    value = f"Bearer {plain_agent.token}" if place == "Authorization" else plain_agent.token
    headers = {"x-api-key": "", place: value} if place != "key" else {"x-api-key": ""}
    path = FORMATS["gemini"].path + (f"&key={plain_agent.token}" if place == "key" else "")

    assert plain_agent.call(FORMATS["gemini"], headers=headers, path=path).status_code == 200

    assert plain_agent.token not in str(plain_agent.upstream.asked)


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        ("%24fields=candidates&alt=sse", "?alt=sse"),
        ("alt=proto&$alt=proto&callback=f&access_token=x&$userProject=y", ""),
    ],
)
def test_a_query_that_would_hide_the_usage_of_gemini_is_left_out(
    plain_agent: RunningAgent, query: str, passed: str
) -> None:
    plain_agent.provider("gemini")
    path = "v1beta/models/gemini-2.5-pro:generateContent"

    assert plain_agent.call(FORMATS["gemini"], path=f"{path}?{query}").status_code == 200

    assert plain_agent.upstream.asked[0].target == f"/{path}{passed}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata": {"model": "cheap"}, "mod\\u0065l": "dear", "messages": []}',
        b'{"model": "cheap", "messages": [], "model": "dear"}',
    ],
    ids=["escaped", "twice"],
)
def test_the_price_is_that_of_the_model_that_is_asked_for(plain_agent: RunningAgent, body: bytes) -> None:
    prices = {"cheap": {"input": 0.001, "output": 0.001}, "dear": {"input": 1000, "output": 1000}}
    plain_agent.provider("openai", prices=prices)
    plain_agent.upstream.script = Script([FORMATS["chat"].whole])

    reply = plain_agent.call(replace(FORMATS["chat"], request=body))

    assert reply.status_code == 200
    (call,) = plain_agent.calls()
    assert (call.model, call.cost_usd) == ("dear", pytest.approx(511 * 1000 / 1_000_000))


@pytest.mark.slow
def test_a_model_without_a_price_is_counted_as_unpriced(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai", login="none", key=None)
    plain_agent.upstream.script = Script(FORMATS["chat"].stream, content_type=SSE)

    plain_agent.call(FORMATS["chat"])

    assert plain_agent.calls()[0].cost_usd is None
    assert plain_agent.usage()["unpricedCalls"] == 1
    assert plain_agent.usage()["costUsd"] == 0


def test_an_answer_without_a_usage_is_estimated(plain_agent: RunningAgent) -> None:
    """Else, a program that asks for no usage would work for nothing and without limits."""
    plain_agent.provider("openai")
    stream = [*FORMATS["chat"].stream[:2], b"data: [DONE]\n\n"]
    plain_agent.upstream.script = Script(stream, content_type=SSE)

    plain_agent.call(FORMATS["chat"])

    (call,) = plain_agent.calls()
    assert call.input_tokens == len(FORMATS["chat"].request) // 4
    assert call.output_tokens >= 3
    assert "estimated" in str(call.error)


def test_what_an_agent_says_of_itself_counts_only_without_the_gateway(agent: RunningAgent) -> None:
    agent.provider("anthropic")
    agent.upstream.script = Script(FORMATS["anthropic"].stream, content_type=SSE)
    save_usage(agent.run.id, {"inputTokens": 5_000_000, "costUsd": 99.0})
    assert agent.usage()["inputTokens"] == 5_000_000

    agent.call(FORMATS["anthropic"])
    assert agent.usage()["inputTokens"] == 120
    save_usage(agent.run.id, {"inputTokens": 7_000_000, "costUsd": 99.0})

    assert agent.usage()["inputTokens"] == 120


def test_the_metrics_count_calls_tokens_and_cost(plain_agent: RunningAgent) -> None:
    plain_agent.provider("of-the-metrics", api="anthropic")
    plain_agent.upstream.script = Script(FORMATS["anthropic"].stream, content_type=SSE)
    plain_agent.call(FORMATS["anthropic"], name="of-the-metrics")
    plain_agent.upstream.script = Script(status=429)
    plain_agent.call(FORMATS["anthropic"], name="of-the-metrics")
    viewer = builders.client_of(plain_agent.app, builders.a_user("vic", Role.VIEWER))

    shown = viewer.get("/api/metrics").text.splitlines()

    provider = 'provider="of-the-metrics"'
    assert f'aiworker_model_calls_total{{{provider},status="200"}} 1.0' in shown
    assert f'aiworker_model_calls_total{{{provider},status="429"}} 1.0' in shown
    assert f'aiworker_model_tokens_total{{kind="cached",{provider}}} 4000.0' in shown
    assert f'aiworker_model_tokens_total{{kind="output",{provider}}} 77.0' in shown
    (cost,) = (line for line in shown if line.startswith(f"aiworker_model_cost_usd_total{{{provider}}}"))
    assert float(cost.split()[-1]) == pytest.approx(SONNET_COST)
