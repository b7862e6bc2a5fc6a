"""What each real CLI's end is taken for when the provider refuses. Their other last words are in test_refusals.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer
from tests.doubles.model_wire import Fault
from tests.workers.runner.drivers.cli_runs import INSTALLED, MODELS, try_program
from workers.runner.drivers.program import Ending


# OpenCode takes nine CPU-seconds for it.
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"opencode"}))
def test_a_wrong_key_is_a_refusal(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))
    with ModelServer(every=Fault(status=401, message="invalid x-api-key")) as model:
        ran = try_program(name, tmp_path, model.url)

    assert ran.classified is not None
    assert ran.classified.ending is Ending.REFUSED, (ran.classified, ran.code, ran.stderr, ran.lines)
    assert "key" in ran.classified.reason
