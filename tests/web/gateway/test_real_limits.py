"""Real coding CLIs at a provider that is limited in the middle of a run, for longer than a short limit.

The limit is over in seconds; tests/soak has one of 20 seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.doubles.model_server import ModelServer
from tests.web.gateway.limited_work import Work, limit, limited_work, scenes

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
    more = {"TEST_LIMIT_SHORT_SECONDS": "1", **more}
    with limited_work(name, plain_app, tmp_path / "agent", monkeypatch, **more) as work:
        yield work


@pytest.mark.parametrize("limited", [(name, {}) for name in TRIED], indirect=True, ids=TRIED)
def test_a_task_waits_for_the_end_of_a_limit_and_goes_on_in_its_session(limited: Work) -> None:
    with ModelServer(scenes(limited.name, LIMIT)) as model:
        limited.waits_and_goes_on(model)
