"""Whole runs of the real coding CLIs: an answer that ends the run, an answer within the hold, a review."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.runner.drivers.cli_runs import INSTALLED, MODELS
from tests.workers.runner.real_runs import answers_within_the_hold, asks_and_goes_on_elsewhere, gives_a_verdict
from tests.workers.runner.runner_platform import Platform

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def _installed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"codex"}))
def test_a_question_ends_the_run_and_the_answer_goes_on_in_the_same_session_elsewhere(
    name: str, platform: Platform, tmp_path: Path
) -> None:
    asks_and_goes_on_elsewhere(name, platform, tmp_path)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_answer_within_the_hold_goes_on_in_the_same_run(name: str, platform: Platform, tmp_path: Path) -> None:
    answers_within_the_hold(name, platform, tmp_path)


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"codex"}))
def test_a_verdict_is_given_as_the_programs_output_shows_its_call(
    name: str, platform: Platform, tmp_path: Path
) -> None:
    gives_a_verdict(name, platform, tmp_path)
