"""The lies that only the names of tests tell are refused in a cluster too: pods are real processes of its node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models import Task
from tests.doubles.kubernetes.node import ProcessNode
from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.jobs.test_untested_lines import lcov
from tests.workers.jobs.test_which_tests_ran import (
    BROKEN,
    FILES,
    LIES,
    PAGE_TESTS,
    PYTEST,
    RED,
    UPPER,
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


def test_honest_work_has_a_whole_proof(cluster: Elsewhere) -> None:
    project = cluster.project(FILES, test_command=f"cp report lcov.info; {PYTEST}")
    new = "\n    def test_upper(self):\n        from page import upper\n\n        self.assertEqual(upper(), 'SHOP')\n"
    files = {**UPPER, "tests/test_page.py": PAGE_TESTS + new, "report": lcov("page.py", [1, 2, 5], [6])}
    task = cluster.ready(project, "Upper", files)

    checks = checks_of(cluster, task)
    said = {name: checks[name].message for name in ("tests", "lost_tests", "new_tests", "coverage")}
    assert said == {
        "tests": "The tests pass: 4 ran.",
        "lost_tests": "1 new, none lost.",
        "new_tests": "One test is new or changed; it fails without the change.",
        "coverage": "No test touches 1 of the 2 added lines that can run: page.py:6-6.",
    }
