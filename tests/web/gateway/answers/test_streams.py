"""Streams through the gateway's own process: as they arrive, without a pause, and with every way they can end."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import requests

from common.models.spend import ModelCall
from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS
from tests.servers import ROOT
from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.provider_answers import FORMATS, Format
from tests.web.gateway.upstream import Script
from tests.web.world import all_of

SONNET = FORMATS["anthropic"]
SSE = "text/event-stream"
WHOLE = b"".join(SONNET.stream)


@dataclass
class Server:
    """The gateway in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]

    @contextlib.contextmanager
    def called(
        self, agent: RunningAgent, format_: Format = SONNET, *, name: str = ""
    ) -> Iterator[http.client.HTTPResponse]:
        """A call whose answer is not read yet. The caller hangs up at the end."""
        with self.asked(agent, format_, name=name) as connection, connection.getresponse() as answer:
            yield answer

    @contextlib.contextmanager
    def asked(
        self, agent: RunningAgent, format_: Format = SONNET, *, name: str = ""
    ) -> Iterator[http.client.HTTPConnection]:
        """A call whose answer need not have begun. The caller hangs up at the end."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=LONG_WAIT_SECONDS)
        headers = {"Authorization": f"Bearer {agent.token}", "Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request("POST", f"/gateway/{name or format_.name}/{format_.path}", format_.request, headers)
            yield connection


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    command = [sys.executable, "-m", "gunicorn", "--config", "web/gunicorn.conf.py", "--graceful-timeout", "60"]
    command.append("tests.web.gateway.patient_gateway:create_gateway()")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{descriptor}"], cwd=ROOT, pass_fds=[descriptor], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONWARNINGS": ""},
        )  # fmt: skip
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield Server(url, process)
    finally:
        process.kill()
        process.wait()


def the_call() -> ModelCall:
    """The one that was recorded, as soon as it is."""
    wait_until("a recorded call", lambda: len(all_of(ModelCall)) == 1)
    (call,) = all_of(ModelCall)
    assert isinstance(call, ModelCall)
    return call


@pytest.mark.slow
def test_a_piece_arrives_before_the_next_is_sent(plain_agent: RunningAgent) -> None:
    gate = threading.Event()
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script(SONNET.stream, content_type=SSE, gate=gate)
    with serving() as server, server.called(plain_agent) as answer:
        first = answer.read1()
        assert first == SONNET.stream[0]
        gate.set()
        assert first + answer.read() == WHOLE
        assert the_call().output_tokens == 77


@pytest.mark.slow
def test_a_caller_that_hangs_up_ends_the_providers_work_at_once(agent: RunningAgent) -> None:
    """Also while the provider is silent, as it is while a model thinks."""
    agent.provider("anthropic")
    agent.upstream.script = Script(SONNET.stream, content_type=SSE, gate=threading.Event())
    with serving() as server:
        with server.called(agent) as answer:
            assert answer.read1() == SONNET.stream[0]
            assert not agent.upstream.hung_up.is_set()

        assert agent.upstream.hung_up.wait(LONG_WAIT_SECONDS)
        call = the_call()
    assert (call.input_tokens, call.cached_tokens, call.cache_write_tokens) == (120, 4000, 30)
    assert str(call.error).startswith("the caller closed the connection")


@pytest.mark.slow
def test_a_provider_that_falls_silent_is_given_up(plain_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SILENCE_SECONDS", "3")
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script(SONNET.stream[:3], content_type=SSE, fault="silence")
    with serving() as server, server.called(plain_agent) as answer:
        with pytest.raises(http.client.IncompleteRead):
            answer.read()

        assert str(the_call().error).startswith("the provider was silent for too long")


@pytest.mark.slow
def test_all_calls_under_way_are_recorded_before_the_process_ends(plain_agent: RunningAgent) -> None:
    plain_agent.provider("anthropic")
    plain_agent.upstream.script = Script(SONNET.stream[:1], content_type=SSE, fault="silence")
    with contextlib.ExitStack() as callers:
        server = callers.enter_context(serving())
        for _ in range(3):
            callers.enter_context(server.asked(plain_agent))
        wait_until("the answers to have begun", lambda: plain_agent.upstream.begun == 3)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(LONG_WAIT_SECONDS) == 0

    calls = all_of(ModelCall)
    assert [(call.status, call.input_tokens, call.cached_tokens) for call in calls] == [(200, 120, 4000)] * 3
    assert all(str(call.error).startswith("the platform was stopped") for call in calls)


@pytest.mark.slow
def test_a_body_that_does_not_arrive_is_given_up(plain_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BODY_SECONDS", "0.5")
    plain_agent.provider("anthropic")
    with serving() as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=LONG_WAIT_SECONDS)
        with contextlib.closing(connection):
            connection.putrequest("POST", "/gateway/anthropic/v1/messages")
            connection.putheader("x-api-key", plain_agent.token)
            connection.putheader("Content-Length", str(len(SONNET.request)))
            connection.endheaders(SONNET.request[:10])
            answer = connection.getresponse()
            assert (answer.status, "to arrive" in answer.read().decode()) == (408, True)

    assert plain_agent.upstream.asked == []


def test_the_gateways_process_serves_nothing_else(plain_agent: RunningAgent) -> None:
    with serving() as server:
        statuses = {
            path: requests.get(f"{server.url}{path}", timeout=LONG_WAIT_SECONDS).status_code
            for path in ("/api/health/live", "/api/tasks", "/", "/git/a/b", "/api/metrics")
        }

    assert statuses == {"/api/health/live": 200, "/api/tasks": 404, "/": 404, "/git/a/b": 404, "/api/metrics": 401}
