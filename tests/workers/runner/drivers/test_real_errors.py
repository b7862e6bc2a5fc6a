"""What each real CLI's end is taken for when the provider refuses, has a fault, or is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer
from tests.doubles.model_wire import Fault
from tests.workers.runner.drivers.cli_runs import (
    INSTALLED,
    MODELS,
    try_program,
)
from workers.runner.drivers.program import Ending

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _installed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))


# OpenCode takes nine CPU-seconds for it: tests/soak.
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"opencode"}))
def test_a_wrong_key_is_a_refusal(name: str, tmp_path: Path) -> None:
    with ModelServer(every=Fault(status=401, message="invalid x-api-key")) as model:
        ran = try_program(name, tmp_path, model.url)

    assert ran.classified is not None
    assert ran.classified.ending is Ending.REFUSED, (ran.classified, ran.code, ran.stderr, ran.lines)
    assert "key" in ran.classified.reason


USED_UP = (
    "The budget is used up. The project has used 10,512 of 10,000 tokens today (UTC). A maintainer can raise the "
    "project's daily cap: then the task goes on, or it does so by itself on 2026-11-28 at 00:00 UTC."
)
"""As the gateway refuses a call: common/services/spend/caps.py."""


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_used_up_cap_is_final(name: str, tmp_path: Path) -> None:
    with ModelServer(every=Fault(status=400, message=USED_UP)) as model:
        ran = try_program(name, tmp_path, model.url)

    assert ran.classified is not None
    assert ran.classified.ending is Ending.REFUSED, (ran.classified, ran.code, ran.stderr, ran.lines)
    assert ran.classified.until is None
    assert "10,512 of 10,000 tokens" in ran.classified.reason
    # Claude Code asks for a title, too, and once more without streaming.
    assert len(model.answered) <= 3, model.answered
