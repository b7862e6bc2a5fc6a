"""A real coding CLI in whole runs. The other CLIs are tried in tests/soak, and on a whole instance in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.runner.drivers.cli_runs import INSTALLED
from tests.workers.runner.real_runs import gives_a_verdict
from tests.workers.runner.runner_platform import Platform


def test_a_verdict_is_given_as_the_programs_output_shows_its_call(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))

    gives_a_verdict("codex", platform, tmp_path)
