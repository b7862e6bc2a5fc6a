"""A real coding CLI in whole runs. The other CLIs are tried in tests/soak, and on a whole instance in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.runner.drivers.cli_runs import INSTALLED
from tests.workers.runner.real_runs import asks_and_goes_on_elsewhere, gives_a_verdict
from tests.workers.runner.runner_platform import Platform


@pytest.mark.slow
def test_a_question_ends_the_run_and_the_answer_goes_on_in_the_same_session_elsewhere(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))

    asks_and_goes_on_elsewhere("codex", platform, tmp_path)


def test_a_verdict_is_given_as_the_programs_output_shows_its_call(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))

    gives_a_verdict("codex", platform, tmp_path)
