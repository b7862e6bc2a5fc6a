"""A task's own flaky tests do not get through by luck: neither by the same files again, nor by a trivial change."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import Question, Task
from tests.workers.jobs.test_blame import FILES, PYTEST, SHOP, flaky
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def refused(platform: Platform, luck: Path, red: str) -> Task:
    """A task that was refused for a flaky test of its own, which is red in the runs of these numbers, from 1."""
    project = platform.project(FILES, test_command=PYTEST, tests_first="off")
    task = platform.task(project)
    platform.work(task, {"tests/test_page.py": SHOP + flaky(luck, red)})
    assert checks_of(platform, task)["tests"].code == "tests_flaky"
    return task


def test_a_flaky_test_does_not_get_through_by_claiming_its_commit_again(platform: Platform, tmp_path: Path) -> None:
    task = platform.task(platform.project(FILES, test_command=PYTEST))
    sha = platform.work(task, {"tests/test_page.py": SHOP + flaky(tmp_path / "luck", "1")})
    runs = (tmp_path / "luck").read_text()

    for _ in range(2):
        platform.finish(platform.claim(), sha)
        platform.run_jobs()

    assert checks_of(platform, task)["tests"].code == "tests_flaky"
    assert (tmp_path / "luck").read_text() == runs
    # A person may have mended what made it flaky.
    (question,) = platform.all(Question, Question.task_id == task.id)
    platform.answer(question, "The clock of the machine is right now")
    platform.finish(platform.claim(), sha)
    platform.run_jobs()
    assert platform.get(Task, task.id).state == "ready_to_test"
