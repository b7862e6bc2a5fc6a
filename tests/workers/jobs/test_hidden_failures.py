"""Tests that failed by their report count as failed, whatever the test command's exit status says."""

from __future__ import annotations

import pytest

from common.models import Project, Task
from tests.workers.jobs.test_blame import PYTEST, RED, SHOP
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

PAGE = "import unittest\n\n\nclass Page(unittest.TestCase):\n    def test_shop(self):\n        " + (
    "self.assertEqual(open('page.txt').read(), 'Shop\\n')\n"
)
FILES = {"index.html": "Shop\n", "page.txt": "Shop\n", "conftest.py": "", "test_page.py": PAGE}
RETRIED = """<testsuite><testcase classname="page" name="test_shop"><failure/></testcase>
<testcase classname="page" name="test_shop"/><testcase classname="page" name="test_price"/></testsuite>
"""
HIDES = " The report says so, and the command hides it (exit status 0)."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "files"),
    [
        (f"{PYTEST} | tee out.txt", {}),
        (PYTEST, {"conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"}),
    ],
)
def test_a_failure_that_the_exit_status_hides_is_refused(
    platform: Platform, command: str, files: dict[str, str]
) -> None:
    task = platform.task(platform.project(FILES, test_command=command))
    platform.work(task, {"page.txt": "Market\n", **files})

    tests = checks_of(platform, task)["tests"]
    assert (tests.status, tests.code, tests.message) == (
        "failed", "tests_failed", f"The tests fail: test_page.Page::test_shop.{HIDES}",
    )  # fmt: skip
    assert platform.get(Task, task.id).round == 2


def test_a_test_that_a_retry_passes_is_no_failure(platform: Platform) -> None:
    files = {"page.txt": "Shop\n", "retried.txt": RETRIED}
    project = platform.project(files, test_command="cp retried.txt report.xml", test_report="report.xml")
    task = platform.ready(project, "Work", {"readme": "x\n"})

    assert checks_of(platform, task)["tests"].message == "The tests pass: 3 ran."


@pytest.mark.slow
def test_a_failure_that_the_default_branch_hides_is_not_the_tasks_and_stops_delivery_with_a_word(
    platform: Platform,
) -> None:
    command = f"{PYTEST} | tee out.txt"
    project = platform.project({**FILES, "test_page.py": SHOP + RED}, test_command=command)
    task = platform.approved(project, "Work", {"readme": "x\n"})

    tests = checks_of(platform, task)["tests"]
    assert (tests.status, tests.code) == ("passed", "base_is_red")
    said = "One test fails, and it fails on the commit below too, in main: test_page::test_red."
    assert tests.message == f"{said}{HIDES}"
    red = platform.get(Project, project.id).red_base
    reason = "it exited with 0, but its report says that one test failed"
    assert red is not None
    assert (red.tests, red.reason) == (("test_page::test_red",), reason)

    group = platform.staged(task)
    assert (group.state, [problem["kind"] for problem in group.problems]) == ("failed", ["base_is_red"])
    assert reason in group.problems[0]["detail"]
