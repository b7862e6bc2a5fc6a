"""A real coding CLI in whole runs. The other CLIs are tried in tests/soak, and on a whole instance in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.runner.drivers.cli_runs import INSTALLED
from tests.workers.runner.real_runs import asks_and_goes_on_elsewhere
from tests.workers.runner.runner_platform import Platform


@pytest.mark.timeout(280)
def test_a_question_ends_the_run_and_the_answer_goes_on_in_the_same_session_elsewhere(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))

    asks_and_goes_on_elsewhere("codex", platform, tmp_path)
