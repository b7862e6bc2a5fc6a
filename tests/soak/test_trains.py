"""Twenty trains of eight with a culprit and a flaky test, and twenty with a culprit that is flaky itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.workers.conftest import plain_platform as plain_platform
from tests.workers.conftest import platform_on as platform_on
from tests.workers.jobs.trains_of_eight import run_train
from tests.workers.platform import Platform

SEEDS = range(20)


@pytest.mark.timeout(1800)
def test_a_culprit_beside_a_flaky_test_does_not_land(plain_platform: Platform, tmp_path: Path) -> None:
    ends = Counter(run_train(plain_platform, tmp_path / f"{seed}", seed, culprit_rate=1) for seed in SEEDS)
    print(dict(ends))
    assert ends["landed"] == 0


@pytest.mark.timeout(1800)
def test_a_culprit_that_is_flaky_itself_takes_nobody_with_it_where_one_green_run_is_enough(
    plain_platform: Platform, tmp_path: Path
) -> None:
    ends = Counter(
        run_train(plain_platform, tmp_path / f"{seed}", seed, culprit_rate=0.8, green_runs=1) for seed in SEEDS
    )
    print(dict(ends))


@pytest.mark.timeout(1800)
def test_a_culprit_that_is_flaky_itself_does_not_land(plain_platform: Platform, tmp_path: Path) -> None:
    ends = Counter(run_train(plain_platform, tmp_path / f"{seed}", seed, culprit_rate=0.8) for seed in SEEDS)
    print(dict(ends))
    assert ends["landed"] == 0
