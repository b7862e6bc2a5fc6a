"""Trains of eight with a culprit and a flaky test: no innocent is taken out, and what is always red never lands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.jobs.trains_of_eight import run_train
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

SEEDS = (1, 2)


def test_a_culprit_beside_a_flaky_test_does_not_land(platform: Platform, tmp_path: Path) -> None:
    ends = [run_train(platform, tmp_path / f"{seed}", seed, culprit_rate=1) for seed in SEEDS]
    assert set(ends) <= {"named", "stopped"}
