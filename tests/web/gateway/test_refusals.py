"""What the gateway refuses, and what becomes of a provider's failures: in the provider's form, and never with a key."""

from __future__ import annotations

import logging
import time
from types import SimpleNamespace

import pytest

from common.secrets.sealing import digest
from common.services.spend.model_tokens import new_model_token
from tests.ports import refusing_port
from tests.web.factories import end
from tests.web.gateway.conftest import KEY, LateBody, RunningAgent
from tests.web.gateway.provider_answers import FORMATS, Format
from tests.web.gateway.upstream import Script
from web.gateway import token_cache
from web.gateway.model_apis import error_message

SSE = "text/event-stream"
SONNET = FORMATS["anthropic"]
every_format = pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)


def _is_in_the_form_of(name: str, error: dict[str, object]) -> bool:
    inner = error["error"]
    assert isinstance(inner, dict)
    if name == "anthropic":
        return error["type"] == "error" and set(inner) == {"type", "message"}
    if name == "gemini":
        return set(inner) == {"code", "message", "status"}
    return set(inner) == {"message", "type", "param", "code"}


@every_format
def test_a_token_of_nobody_is_refused_in_the_providers_form(plain_agent: RunningAgent, format_: Format) -> None:
    plain_agent.provider(format_.name)

    reply = plain_agent.call(format_, headers={"x-api-key": new_model_token()})

    assert reply.status_code == 401
    assert _is_in_the_form_of(format_.name, reply.json)
    assert plain_agent.upstream.asked == []


@pytest.mark.parametrize("token", ["", KEY, "aiw_" + "x" * 43])
def test_what_is_no_model_token_is_refused(plain_agent: RunningAgent, token: str) -> None:
    plain_agent.provider("anthropic")

    assert plain_agent.call(SONNET, headers={"x-api-key": token}).status_code == 401
    assert plain_agent.call(SONNET, headers={"Authorization": f"Bearer {token}", "x-api-key": ""}).status_code == 401


def test_a_model_token_is_good_for_nothing_else(plain_agent: RunningAgent) -> None:
    client = plain_agent.app.test_client()
    bearer = {"Authorization": f"Bearer {plain_agent.token}"}

    for path in ("/api/tasks", "/api/auth/me", f"/api/runner/runs/{plain_agent.run.id}/session", "/api/spend"):
        assert client.get(path, headers=bearer).status_code == 401, path


def test_the_token_ends_with_its_run(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.provider("anthropic")
    assert agent.call(SONNET).status_code == 200

    end(agent.run)
    assert token_cache.REMEMBERED_SECONDS <= 1
    noticed = time.monotonic() + token_cache.REMEMBERED_SECONDS
    monkeypatch.setattr(token_cache, "time", SimpleNamespace(monotonic=lambda: noticed))

    assert agent.call(SONNET).status_code == 401


def test_a_body_that_arrives_after_the_end_of_its_run_is_passed_on_to_nobody(agent: RunningAgent) -> None:
    agent.provider("anthropic")
    late = LateBody(SONNET.request, agent.is_over)

    assert agent.call(SONNET, input_stream=late, content_length=len(SONNET.request)).status_code == 401

    assert agent.upstream.asked == []
    assert agent.calls() == []


@every_format
@pytest.mark.parametrize("path", ["v1/embeddings", "v1/messages/../files"])
def test_other_paths_do_not_exist(plain_agent: RunningAgent, format_: Format, path: str) -> None:
    plain_agent.provider(format_.name)

    reply = plain_agent.call(format_, path=path)

    assert reply.status_code == 404
    assert "The gateway passes on" in str(error_message(reply.data))
    assert _is_in_the_form_of(format_.name, reply.json)
    assert plain_agent.upstream.asked == []


@pytest.mark.parametrize("status", [401, 429, 529])
def test_an_error_of_the_provider_passes_and_is_recorded(plain_agent: RunningAgent, status: int) -> None:
    plain_agent.provider("anthropic")
    content = b'{"type":"error","error":{"type":"some_error","message":"Wrong key ' + KEY.encode() + b'!"}}'
    plain_agent.upstream.script = Script([content], status=status, headers={"retry-after": "7", "x-key": KEY})

    reply = plain_agent.call(SONNET)

    assert reply.status_code == status
    assert reply.data == content.replace(KEY.encode(), b"***")
    assert reply.headers["retry-after"] == "7"
    assert KEY not in str(reply.headers)
    (call,) = plain_agent.calls()
    assert (call.status, call.error, call.model) == (status, "Wrong key ***!", "claude-sonnet-4-5")
    assert (call.input_tokens, call.cost_usd) == (0, 0)
    assert plain_agent.usage()["calls"] == 1


@every_format
def test_a_provider_that_is_down_is_a_502(plain_agent: RunningAgent, format_: Format) -> None:
    with refusing_port() as port:
        plain_agent.provider(format_.name, base_url=f"http://127.0.0.1:{port}")
        reply = plain_agent.call(format_)

    assert reply.status_code == 502
    assert _is_in_the_form_of(format_.name, reply.json)
    assert "can't be reached (" in str(error_message(reply.data))
    (call,) = plain_agent.calls()
    assert (call.status, call.first_byte_ms) == (0, None)


def test_half_a_stream_ends_without_the_mark_of_the_end(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script(SONNET.stream[:4], content_type=SSE, fault="half")

    with pytest.raises(ConnectionResetError):
        plain_agent.call(SONNET)

    (call,) = plain_agent.calls()
    assert (call.input_tokens, call.cached_tokens, call.status) == (120, 4000, 200)
    assert "the provider ended the answer too early" in str(call.error)


def test_no_key_and_no_token_stands_in_a_log(
    plain_agent: RunningAgent, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    plain_agent.provider("anthropic")
    for script in (
        Script(SONNET.stream, content_type=SSE),
        Script([KEY.encode()], status=401),
        Script(SONNET.stream[:2], content_type=SSE, fault="half"),
        Script([b""], status=302, headers={"Location": "http://x"}),
    ):
        plain_agent.upstream.script = script
        try:
            plain_agent.call(SONNET, path=f"v1/messages?key={plain_agent.token}")
        except ConnectionResetError:
            continue

    assert len(plain_agent.calls()) == 4
    written = caplog.text + "".join(capfd.readouterr()) + str([vars(call) for call in plain_agent.calls()])
    assert KEY not in written
    assert plain_agent.token not in written
    assert digest(plain_agent.token) not in written


def test_a_model_that_is_not_offered_is_refused(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic", models=["claude-opus-4-8", "claude-haiku-4-5"])

    reply = plain_agent.call(SONNET)

    assert reply.status_code == 404
    assert "it offers: claude-opus-4-8, claude-haiku-4-5" in str(error_message(reply.data))
