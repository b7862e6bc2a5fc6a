"""A provider's error is read also where it comes compressed, which nobody asked for."""

from __future__ import annotations

import gzip

import pytest

from tests.web.gateway.conftest import KEY, RunningAgent
from tests.web.gateway.provider_answers import FORMATS
from tests.web.gateway.upstream import Script
from web.gateway.answers.known_limits import book

CHAT = FORMATS["chat"]
ERROR = b'{"error":{"message":"%b: please try again in 7m","code":"rate_limit_exceeded"}}'


@pytest.fixture(autouse=True)
def _nothing_is_known_of_limits() -> None:
    book.forget_all()


def compressed(status: int, content: bytes, encoding: str = "gzip") -> Script:
    return Script([content[:30], content[30:]], status=status, headers={"Content-Encoding": encoding})


def test_it_is_passed_on_decompressed_and_without_the_key(plain_agent: RunningAgent) -> None:
    plain_agent.provider("openai")
    plain_agent.upstream.script = compressed(401, gzip.compress(ERROR % KEY.encode()))

    reply = plain_agent.call(CHAT)

    assert (reply.status_code, reply.headers.get("Content-Encoding")) == (401, None)
    assert reply.data == ERROR % b"***"
    assert plain_agent.calls()[0].error == "***: please try again in 7m"
