"""A provider's error is read also where it comes compressed, which nobody asked for."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from common.models.run import Run
from tests.web.gateway.answers import FORMATS
from tests.web.gateway.conftest import KEY, RunningAgent
from tests.web.gateway.upstream import Script
from tests.web.world import get
from web.gateway.limit_book import book

CHAT = FORMATS["chat"]
ERROR = b'{"error":{"message":"%b: please try again in 7m","code":"rate_limit_exceeded"}}'


@pytest.fixture(autouse=True)
def _nothing_is_known_of_limits() -> None:
    book.forget_all()


def compressed(status: int, content: bytes, encoding: str = "gzip") -> Script:
    return Script([content[:30], content[30:]], status=status, headers={"Content-Encoding": encoding})


def test_the_time_in_it_is_waited_for(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai")
    plain_agent.upstream.script = compressed(429, gzip.compress(ERROR % b"Too many"))

    assert plain_agent.call(CHAT).status_code == 400

    run: Run = get(Run, plain_agent.run.id)
    assert run.limited_until is not None
    assert run.limited_until > datetime.now(UTC) + timedelta(minutes=6)
    assert run.limit_reason == "openai: Too many: please try again in 7m"


def test_it_is_passed_on_decompressed_and_without_the_key(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai")
    plain_agent.upstream.script = compressed(401, gzip.compress(ERROR % KEY.encode()))

    reply = plain_agent.call(CHAT)

    assert (reply.status_code, reply.headers.get("Content-Encoding")) == (401, None)
    assert reply.data == ERROR % b"***"
    assert plain_agent.calls()[0].error == "***: please try again in 7m"


@pytest.mark.parametrize(("encoding", "content"), [("br", b"x" * 50 + KEY.encode()), ("gzip", b"y" * 50)])
def test_what_can_not_be_decompressed_is_left_out(plain_agent: RunningAgent, encoding: str, content: bytes) -> None:
    """The key could be in it."""
    plain_agent.provider("openai")
    plain_agent.upstream.script = compressed(500, content, encoding)

    reply = plain_agent.call(CHAT)

    assert (reply.status_code, reply.data, reply.headers.get("Content-Encoding")) == (500, b"", None)
    assert plain_agent.calls()[0].error == "the provider answered 500"
