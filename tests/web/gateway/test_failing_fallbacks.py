"""A fallback that can't take calls does not end a run whose task could wait for the first provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common.models.run import Run
from tests.web.gateway.conftest import RunningAgent
from tests.web.gateway.provider_answers import FORMATS
from tests.web.gateway.test_fallbacks import run_of, says, with_fallback
from tests.web.gateway.upstream import Script, Upstream
from tests.web.world import put
from web.gateway import token_cache
from web.gateway.answers.known_limits import process_limits

SONNET = FORMATS["anthropic"]


@pytest.fixture(autouse=True)
def _nothing_is_known_of_limits() -> None:
    process_limits.forget_all()


def refusing(status: int) -> Script:
    return Script([b'{"error":{"message":"Not for you"}}'], status=status)


def waits(agent: RunningAgent) -> bool:
    """Whether the next call ends the run until the first provider takes calls again."""
    reply = agent.call(SONNET, name="first")
    until = run_of(agent).limited_until
    is_marked = until is not None and until > datetime.now(UTC) + timedelta(seconds=60)
    return (reply.status_code, "usage limit" in says(reply)) == (400, True) and is_marked


@pytest.mark.parametrize("status", [401, 404])
def test_a_fallback_with_a_wrong_key_or_model_is_passed_over(
    agent: RunningAgent, second: Upstream, status: int
) -> None:
    with_fallback(agent, second)
    second.script = refusing(status)

    assert waits(agent)
    assert run_of(agent).limit_reason == "first: Slow down; second: Not for you"
    # Another run, while the first one is known to be limited.
    put(Run, agent.run.id, limited_until=None, limit_reason=None)
    token_cache.forget_all()
    assert waits(agent)
    assert len(agent.upstream.asked) == 1
