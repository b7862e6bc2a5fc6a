"""Real coding CLIs at a provider that is limited in the middle of a run, for longer than a short limit.

The limit is over in seconds; tests/soak has one of 20 seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from common.models import Run
from common.services.spend import model_providers
from tests.doubles.model_server import ModelServer
from tests.web.gateway.limited_work import Work, limit, limited_work, scenes
from tests.web.made import somebody
from tests.web.world import all_of
from workers import sweeps

pytestmark = pytest.mark.slow

TRIED = ("claude", "codex", "opencode")
"""Each takes refusals in a way of its own: by headers, never again, by the words in them."""
LIMIT = limit(3)


@pytest.fixture
def limited(
    request: pytest.FixtureRequest, plain_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Work]:
    """param: the CLI, and further settings of the platform."""
    name, more = request.param
    more = {"AIWORKER_LIMIT_SHORT_SECONDS": "1", **more}
    with limited_work(name, plain_app, tmp_path / "agent", monkeypatch, **more) as work:
        yield work


@pytest.mark.parametrize("limited", [(name, {}) for name in TRIED], indirect=True, ids=TRIED)
def test_a_task_waits_for_the_end_of_a_limit_and_goes_on_in_its_session(limited: Work) -> None:
    with ModelServer(scenes(limited.name, LIMIT)) as model:
        limited.waits_and_goes_on(model)


@pytest.mark.parametrize("limited", [("claude", {"AIWORKER_PARK_ON_LIMITS": "0"})], indirect=True, ids=["claude"])
def test_with_the_switch_off_it_does_not(limited: Work) -> None:
    with ModelServer(scenes(limited.name, LIMIT)) as model:
        limited.provider("main", model)
        limited.begin()

        run = limited.run()

        assert run.outcome in {"failed", "cancelled"}
        assert "429" in str(run.reason)
        task = limited.task()
        assert (task.state in {"failed", "backlog"}, task.parked) == (True, None)
        sweeps.sweep_agents()
        assert limited.task().state == task.state


@pytest.mark.parametrize("limited", [("claude", {})], indirect=True, ids=["claude"])
def test_with_a_fallback_it_goes_on_at_once(limited: Work) -> None:
    name = limited.name
    with ModelServer(scenes(name, LIMIT)) as model, ModelServer(scenes(name, None)) as second:
        first_id = limited.provider("first", model)
        limited.provider("second", second)
        fallback = {"fallback": "second", "fallback_model": "claude-haiku-4-5"}
        model_providers.update_provider(first_id, fallback, by=somebody())
        limited.begin()

        run = limited.run()

        assert (run.outcome, limited.task().phase) == ("completed", "verifying"), run.reason
        assert len(all_of(Run, Run.task_id == limited.task_id)) == 1
        assert {one.status for one in model.answered} == {200, 429}
        asked = [one.body for one in second.requests if one.body.get("tools")]
        assert {body["model"] for body in asked} == {"claude-haiku-4-5"}
        assert "I'll write it." in str(asked[-1])
