"""The lies that only the names of tests tell are refused in a cluster too: pods are real processes of its node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models import FlakyTest, Project, Task
from tests.doubles.kubernetes.node import ProcessNode
from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.jobs.test_old_tests import HIDDEN
from tests.workers.jobs.test_untested_lines import lcov
from tests.workers.jobs.test_which_tests_ran import (
    BROKEN,
    FILES,
    HOLLOW,
    LIES,
    PAGE_TESTS,
    PYTEST,
    RED,
    UPPER,
    checks_of,
    lost_names,
)
from tests.workers.jobs.test_whose_fault import LUCK, RED_FILES, RED_NAME, flaky
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


def test_an_end_of_the_tests_without_a_report_is_refused(cluster: Elsewhere) -> None:
    task = cluster.task(cluster.project(FILES, test_command=PYTEST))
    cluster.work(task, {**BROKEN, **LIES["exit"]})

    lost = checks_of(cluster, task)["lost_tests"]
    assert (lost.status, lost.code) == ("failed", "tests_lost")
    assert "The tests gave no report: no file was found." in (lost.message or "")


def test_a_new_test_that_proves_nothing_is_refused(cluster: Elsewhere) -> None:
    task = cluster.task(cluster.project(FILES, test_command=PYTEST, tests_first="refuse"))
    cluster.work(task, {**UPPER, "tests/test_page.py": PAGE_TESTS + HOLLOW})

    found = checks_of(cluster, task)["new_tests"]
    assert (found.status, found.code) == ("failed", "tests_prove_nothing")
    assert "tests.test_page.Page::test_more" in (found.message or "")


def test_a_test_that_passes_only_because_it_was_changed_is_named(cluster: Elsewhere) -> None:
    task = cluster.ready(
        cluster.project(FILES, test_command=PYTEST), "Break", {**BROKEN, **HIDDEN["a hook above them"]}
    )

    found = checks_of(cluster, task)["changed_tests"]
    assert (found.status, found.code) == ("passed", "tests_changed")
    assert (found.log or "").splitlines() == [f"fails: {name}" for name in RED]


def test_a_red_base_blames_no_task(cluster: Elsewhere) -> None:
    project = cluster.project(RED_FILES, test_command=PYTEST)
    task = cluster.ready(project, "Work", {"readme": "x\n"})

    tests = checks_of(cluster, task)["tests"]
    assert (tests.status, tests.code) == ("passed", "base_is_red")
    red = cluster.get(Project, project.id).red_base
    assert red is not None
    assert red.tests == (RED_NAME,)


def test_a_flaky_test_blames_no_task(cluster: Elsewhere, tmp_path: Path) -> None:
    files = {"page.txt": "Shop\n", "tests/test_page.py": flaky(tmp_path / "luck", "1").lstrip()}
    project = cluster.project(files, test_command=PYTEST)
    task = cluster.ready(project, "Work", {"readme": "x\n"})

    tests = checks_of(cluster, task)["tests"]
    assert (tests.status, tests.code) == ("passed", "flaky_tests")
    assert [row.name for row in cluster.all(FlakyTest, FlakyTest.project_id == project.id)] == [LUCK]


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
