"""A test that is tried again in one run, or reported twice, is one test: with fewer tries, nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.models import FlakyTest, Task, TestedCommit
from common.services.tasks import flaky_tests, tasks
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.jobs.test_whose_fault import PYTEST
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

RERUNS = """from _pytest.runner import runtestprotocol


def pytest_runtest_protocol(item, nextitem):
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        for report in reports:
            report.outcome = "rerun" if report.failed else report.outcome
            item.ihook.pytest_runtest_logreport(report=report)
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
"""As pytest-rerunfailures does."""
LUCK = """from pathlib import Path

tries = []


def test_luck():
    tries.append(1)
    assert Path("readme").exists() or len(tries) > 1
"""
"""Without a file `readme` it needs two tries."""
TEARDOWN = """from pathlib import Path

import pytest


@pytest.fixture
def shop():
    yield
    assert not Path("bad").exists()


def test_shop(shop):
    assert not Path("bad").exists()
"""
"""With a file `bad` it fails, and so does its teardown."""
ONCE = TEARDOWN.replace('Path("bad")', "Path({bad!r})").replace(
    "    yield\n", "    yield\n    if Path({bad!r}).exists() and Path({bad!r}).read_text() == 'once':\n"
    "        Path({bad!r}).unlink()\n        raise OSError\n",
)  # fmt: skip
SHOP = "tests.test_page::test_shop"
RETRIED = (
    '<testsuite><testcase classname="page" name="test_shop"><failure/></testcase>'
    '<testcase classname="page" name="test_price"/>{more}<testcase classname="page" name="test_shop"/></testsuite>\n'
)
AT_ONCE = RETRIED.format(more="").replace('<testcase classname="page" name="test_shop"><failure/></testcase>', "")
AS_GRADLE = {"retried.txt": RETRIED.format(more=""), "at_once.txt": AT_ONCE}
"""As Gradle writes it with the plugin test-retry."""
BY_FILE = "test -e readme && cp at_once.txt report.xml || cp retried.txt report.xml"
TRIED_IN_VAIN = RETRIED.format(more='<testcase classname="page" name="test_shop"><failure/></testcase>').replace(
    'name="test_shop"/>', 'name="test_shop"><failure/></testcase>'
)
NONE_LOST = "0 new, none lost."


def test_a_test_that_pytest_tried_again_on_the_commit_below_is_not_lost(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project({"conftest.py": RERUNS, "tests/test_page.py": LUCK}, test_command=PYTEST)
    checks = checks_of(platform, platform.ready(project, "Work", {"readme": "x\n"}))

    assert checks["lost_tests"].message == NONE_LOST
    assert checks["tests"].message == "The tests pass: 1 ran."


def test_a_test_that_another_runner_tried_again_on_the_commit_below_is_not_lost(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(AS_GRADLE, test_command=BY_FILE, test_report="report.xml")
    task = platform.ready(project, "Work", {"readme": "x\n"})
    assert checks_of(platform, task)["lost_tests"].message == NONE_LOST

    # With one that always fails there, it is run twice.
    files = {**AS_GRADLE, "retried.txt": RETRIED.format(more='<testcase name="red"><failure/></testcase>')}
    mended = {**AS_GRADLE, "at_once.txt": AT_ONCE.replace("</testsuite>", '<testcase name="red"/></testsuite>')}
    project = platform.project(files, test_command=f"{BY_FILE}; test -e readme", test_report="report.xml")
    task = platform.ready(project, "Mend it", {"readme": "x\n", **mended})
    assert checks_of(platform, task)["lost_tests"].message == NONE_LOST


def test_a_red_test_with_a_teardown_that_fails_can_be_mended(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project({"bad": "x\n", "tests/test_page.py": TEARDOWN}, test_command=PYTEST)
    work = platform.ready(project, "Work", {"readme": "x\n"})
    message = f"One test fails, and it fails on the commit below too, in main: {SHOP}."
    assert checks_of(platform, work)["tests"].message == message
    tasks.cancel_task(work.id, by=platform.max)

    task = platform.ready(project, "Mend it", {"bad": None})
    assert checks_of(platform, task)["lost_tests"].message == NONE_LOST


def test_a_test_in_quarantine_whose_teardown_fails_too_counts_for_nothing(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    bad = tmp_path / "bad"
    project = platform.project({"tests/test_page.py": ONCE.format(bad=str(bad))}, test_command=PYTEST)
    bad.write_text("once")
    tasks.cancel_task(platform.ready(project, "Find the flaky test", {"readme": "x\n"}).id, by=platform.max)
    flaky_tests.quarantine(project.id, SHOP, days=7, reason="a slow clock", by=platform.max)
    bad.write_text("always")

    tests = checks_of(platform, platform.ready(project, "Work", {"readme": "y\n"}))["tests"]
    assert (tests.code, tests.message) == ("quarantined_tests", f"The tests pass but for 1 in quarantine: {SHOP}.")


def test_a_flaky_test_that_another_runner_tries_again_is_one_test_also_in_quarantine(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform, bad, name = plain_platform, tmp_path / "bad", "page::test_shop"
    command = (
        f"test -e {bad} || {{ cp retried.txt report.xml; exit 0; }}; grep -q always {bad} || rm {bad}\n"
        "cp in_vain.txt report.xml; exit 1"
    )
    files = {**AS_GRADLE, "in_vain.txt": TRIED_IN_VAIN}
    project = platform.project(files, test_command=command, test_report="report.xml")
    platform.ready(project, "Earlier work", {"readme": "x\n"})
    bad.write_text("once")
    tests = checks_of(platform, platform.ready(project, "Find the flaky test", {"readme": "y\n"}))["tests"]
    assert tests.message == f"One test is flaky, red and green on this one commit: {name}."
    assert [test.name for test in platform.all(FlakyTest)] == [name]
    assert results_of(platform, tests.commit_sha or "") == {name: "passed", "page::test_price": "passed"}

    flaky_tests.quarantine(project.id, name, days=7, reason="a slow clock", by=platform.max)
    bad.write_text("once")
    tests = checks_of(platform, platform.ready(project, "Work", {"readme": "z\n"}))["tests"]
    assert tests.message == f"The tests pass but for 1 in quarantine: {name}."
    bad.write_text("always")
    task = platform.task(project, "More work")
    platform.work(task, {"more": "x\n"})
    assert (checks_of(platform, task)["tests"].code, platform.get(Task, task.id).refusals) == ("quarantined_tests", 0)


def results_of(platform: Platform, commit_sha: str) -> dict[str, str]:
    (row,) = platform.all(TestedCommit, TestedCommit.commit_sha == commit_sha)
    return {name: result for name, result, _ in json.loads(row.report or "[]")}
