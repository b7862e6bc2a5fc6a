"""Results of tests that were deleted for their age: what is said of them, and what the next proof does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from common.models import CommitVerdict, Task, TestedCommit
from common.services.proof import test_results, test_review
from common.transaction import Transaction, transactional
from tests.workers.jobs.test_which_tests_ran import PYTEST
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

FILES = {"tests/test_page.py": "def test_page():\n    assert True\n"}


@transactional
def _age(tx: Transaction) -> None:
    for stored in (TestedCommit, CommitVerdict):
        tx.session.execute(update(stored).values(at=tx.now() - timedelta(days=test_results.KEPT_DAYS, minutes=1)))


def test_a_reader_is_told_how_long_they_are_kept_and_the_commit_below_is_tested_again(platform: Platform) -> None:
    project = platform.project(FILES, test_command=PYTEST)
    task = platform.task(project)
    sha = platform.work(task, {"more": "x\n"})
    assert test_review.read_tests(task.id, by=platform.max).problem is None
    _age()

    test_results.purge_reports()

    assert platform.all(TestedCommit) == []
    found = test_review.read_tests(task.id, by=platform.max)
    assert (found.commit_sha, found.tests) == (sha, ())
    assert found.problem is not None
    assert found.problem.endswith("; reports are deleted after 90 days")
    later = platform.task(project)
    platform.work(later, {"again": "x\n"})
    assert platform.get(Task, later.id).state == "ready_to_test"
    assert len(platform.all(TestedCommit)) == 2
