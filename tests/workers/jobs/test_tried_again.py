"""A test that is tried again in one run, or reported twice, is one test: with fewer tries, nothing is lost."""

from __future__ import annotations

import pytest

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
SHOP = "tests.test_page::test_shop"
RETRIED = (
    '<testsuite><testcase classname="page" name="test_shop"><failure/></testcase>'
    '<testcase classname="page" name="test_price"/>{more}<testcase classname="page" name="test_shop"/></testsuite>\n'
)
AT_ONCE = RETRIED.format(more="").replace('<testcase classname="page" name="test_shop"><failure/></testcase>', "")
NONE_LOST = "0 new, none lost."


def test_a_test_that_pytest_tried_again_on_the_commit_below_is_not_lost(platform: Platform) -> None:
    project = platform.project({"conftest.py": RERUNS, "tests/test_page.py": LUCK}, test_command=PYTEST)
    checks = checks_of(platform, platform.ready(project, "Work", {"readme": "x\n"}))

    assert checks["lost_tests"].message == NONE_LOST
    assert checks["tests"].message == "The tests pass: 1 ran."
