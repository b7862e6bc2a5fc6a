"""The lies that only the names of tests tell are refused in a cluster too: pods are real processes of its node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models import Task
from tests.doubles.kubernetes.node import ProcessNode
from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.jobs.test_which_tests_ran import (
    BROKEN,
    FILES,
    LIES,
    PYTEST,
    RED,
    checks_of,
    lost_names,
)
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    folder = tmp_path / "elsewhere"
    with elsewhere(plain_remote_platform, monkeypatch, folder=folder, speed=20, node=ProcessNode()) as made:
        yield made


def test_a_hidden_test_is_refused_by_its_name(cluster: Elsewhere) -> None:
    task = cluster.task(cluster.project(FILES, test_command=PYTEST))
    cluster.work(task, {**BROKEN, **LIES["not collected"]})

    lost = checks_of(cluster, task)["lost_tests"]
    assert (lost.status, lost.code, lost_names(lost)) == ("failed", "tests_lost", RED)
    assert cluster.get(Task, task.id).round == 2
