"""Tests that failed by their report count as failed, whatever the test command's exit status says."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import update

from common.models import CommitVerdict, Project, Task, TestedCommit
from common.transaction import Transaction, transactional
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.jobs.test_whose_fault import PYTEST, RED, SHOP
from tests.workers.platform import Platform

UNITTEST = f"{sys.executable} -m unittest -q"
PAGE = "import unittest\n\n\nclass Page(unittest.TestCase):\n    def test_shop(self):\n        " + (
    "self.assertEqual(open('page.txt').read(), 'Shop\\n')\n"
)
FILES = {"index.html": "Shop\n", "page.txt": "Shop\n", "conftest.py": "", "test_page.py": PAGE}
RETRIED = """<testsuite><testcase classname="page" name="test_shop"><failure/></testcase>
<testcase classname="page" name="test_shop"/><testcase classname="page" name="test_price"/></testsuite>
"""
ALWAYS_GREEN = PAGE.replace("\n\n", "\n\nunittest.TestResult.wasSuccessful = lambda self: True\n", 1)
HIDES = " The report says so, and the command hides it (exit status 0)."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "files"),
    [
        (f"{PYTEST} | tee out.txt", {}),
        (f"{UNITTEST} || true", {}),
        (PYTEST, {"conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"}),
        (UNITTEST, {"test_page.py": ALWAYS_GREEN}),
    ],
)
def test_a_failure_that_the_exit_status_hides_is_refused(
    plain_platform: Platform, command: str, files: dict[str, str]
) -> None:
    platform = plain_platform
    task = platform.task(platform.project(FILES, test_command=command))
    platform.work(task, {"page.txt": "Market\n", **files})

    tests = checks_of(platform, task)["tests"]
    assert (tests.status, tests.code, tests.message) == (
        "failed", "tests_failed", f"The tests fail: test_page.Page::test_shop.{HIDES}",
    )  # fmt: skip
    assert platform.get(Task, task.id).round == 2


@pytest.mark.slow
def test_a_test_that_fails_after_one_of_the_same_name_has_passed_is_no_retry(plain_platform: Platform) -> None:
    platform = plain_platform
    # As in a repository of several packages: the report names tests without their package.
    packages = {f"{package}/{name}": text for package in "ab" for name, text in FILES.items()}
    loop = f"for package in a b; do (cd $package && {PYTEST}); done | tee out.txt"
    task = platform.task(platform.project({**FILES, **packages}, test_command=loop))
    platform.work(task, {"b/page.txt": "Market\n"})

    tests = checks_of(platform, task)["tests"]
    message = f"The tests fail: test_page.Page::test_shop (2).{HIDES}"
    assert (tests.status, tests.code, tests.message) == ("failed", "tests_failed", message)


def test_a_test_that_a_retry_passes_is_no_failure(plain_platform: Platform) -> None:
    platform = plain_platform
    files = {"page.txt": "Shop\n", "retried.txt": RETRIED}
    project = platform.project(files, test_command="cp retried.txt report.xml", test_report="report.xml")
    task = platform.ready(project, "Work", {"readme": "x\n"})

    assert checks_of(platform, task)["tests"].message == "The tests pass: 3 ran."


@pytest.mark.slow
def test_a_retried_test_of_a_run_that_passed_is_not_blamed_for_another_that_is_flaky(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    bad = tmp_path / "bad"
    red = RETRIED.replace('name="test_price"/>', 'name="test_price"><failure/></testcase>')
    files = {"page.txt": "Shop\n", "retried.txt": RETRIED, "red.txt": red}
    command = f"cp retried.txt report.xml; test ! -e {bad} || {{ rm {bad}; cp red.txt report.xml; false; }}"
    project = platform.project(files, test_command=command, test_report="report.xml")
    bad.write_text("once")
    task = platform.task(project)
    platform.work(task, {"readme": "x\n"})

    tests = checks_of(platform, task)["tests"]
    assert (tests.status, tests.code) == ("passed", "flaky_tests"), tests.message


@transactional
def _as_by_older_versions(tx: Transaction, command: str) -> None:
    """Store the results as a version did that believed the exit status."""
    for table, key in ((TestedCommit, json.dumps([command, None, None])), (CommitVerdict, command)):
        digest = hashlib.sha256(key.encode()).hexdigest()
        tx.session.execute(update(table).values(command_digest=digest, passed=True, reason=None, log=None))


@transactional
def _with_last_report_alone(tx: Transaction, command: str) -> None:
    """Store the results as a version did that read the last report of gotestsum alone: of one call, without tests."""
    digest = hashlib.sha256(json.dumps(["report", command, None, None]).encode()).hexdigest()
    tx.session.execute(update(TestedCommit).values(command_digest=digest, report="[]"))


@pytest.mark.slow
def test_a_report_of_fewer_calls_that_an_older_version_stored_makes_no_test_new(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project({**FILES, "test_page.py": SHOP}, test_command=PYTEST, tests_first="refuse")
    platform.ready(project, "Earlier work", {"earlier": "x\n"})
    _with_last_report_alone(PYTEST)
    task = platform.ready(project, "Work", {"readme": "x\n"})
    assert checks_of(platform, task)["lost_tests"].message == "0 new, none lost."


@pytest.mark.slow
@pytest.mark.parametrize("is_known", [False, True])
def test_a_failure_that_the_default_branch_hides_is_not_the_tasks_and_stops_delivery_with_a_word(
    plain_platform: Platform, is_known: bool
) -> None:
    platform = plain_platform
    command = f"{PYTEST} | tee out.txt"
    project = platform.project({**FILES, "test_page.py": SHOP + RED}, test_command=command)
    if is_known:
        platform.staged(platform.approved(project, "Earlier work", {"earlier": "x\n"}))
        _as_by_older_versions(command)
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


@pytest.mark.slow
def test_a_group_hands_back_the_task_whose_failure_the_exit_status_hides(plain_platform: Platform) -> None:
    platform = plain_platform
    files = {**FILES, "test_page.py": SHOP + "\n\ndef test_one():\n    assert not (exists('a') and exists('b'))\n"}
    files["test_page.py"] = "from os.path import exists\n\n\n" + files["test_page.py"]
    project = platform.project(files, test_command=f"{PYTEST} | tee out.txt")
    first, second = (platform.approved(project, name, {name: "x\n"}) for name in "ab")

    group = platform.staged(first, second)

    assert [(problem["taskId"], problem["kind"]) for problem in group.problems] == [(second.id, "tests_failed")]
    assert [platform.get(Task, task.id).state for task in (first, second)] == ["staging", "in_progress"]
