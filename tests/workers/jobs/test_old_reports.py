"""Results of tests that were deleted for their age: what is said of them, and what the next proof or group does."""

from __future__ import annotations

import secrets
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from common.models import CommitVerdict, Task, TestedCommit
from common.services import sweeping
from common.services.delivery import task_groups
from common.services.projects import projects
from common.services.tasks import losses, tested
from common.transaction import Transaction, transactional
from common.values.build_results import BASE_RUNS
from tests.workers.jobs.test_train import PLAIN, approved
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

FILES = {"tests/test_page.py": "def test_page():\n    assert True\n"}
PYTEST = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider"


@transactional
def _age(tx: Transaction) -> None:
    for stored in (TestedCommit, CommitVerdict):
        tx.session.execute(update(stored).values(at=tx.now() - timedelta(days=tested.KEPT_DAYS, minutes=1)))


def test_a_reader_is_told_how_long_they_are_kept_and_the_commit_below_is_tested_again(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=PYTEST)
    task = platform.task(project)
    sha = platform.work(task, {"more": "x\n"})
    assert losses.read_tests(task.id, by=platform.max).problem is None
    _age()

    tested.purge_reports()

    assert platform.all(TestedCommit) == []
    found = losses.read_tests(task.id, by=platform.max)
    assert (found.commit_sha, found.tests) == (sha, ())
    assert found.problem is not None
    assert found.problem.endswith("; reports are deleted after 90 days")
    later = platform.task(project)
    platform.work(later, {"again": "x\n"})
    assert platform.get(Task, later.id).state == "ready_to_test"
    assert len(platform.all(TestedCommit)) == 2


def test_old_ones_are_deleted_in_batches(plain_platform: Platform) -> None:
    project = plain_platform.project(FILES)
    _store(project.id, tested.AT_ONCE + 1)
    _age()
    _store(project.id, 1)

    assert tested.purge_reports() == tested.AT_ONCE + 1

    assert len(plain_platform.all(TestedCommit)) == 1


@transactional
def _store(tx: Transaction, project_id: str, count: int) -> None:
    for _ in range(count):
        tx.add(
            TestedCommit(
                project_id=project_id, commit_sha=secrets.token_hex(20), command_digest="0" * 64, passed=True,
                at=tx.now(),
            )
        )  # fmt: skip


def test_a_red_result_goes_with_its_log_and_the_default_branch_is_tested_again(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = platform.project({**PLAIN, "broken": "x\n"})
    (task,) = approved(platform, project, {"more": "x\n"})
    ran = tmp_path / "ran"
    command = f"git rev-parse HEAD >> {ran}; ! test -e broken || {{ echo it is broken; false; }}"
    projects.update_project(project.id, {"test_command": command}, by=platform.max)
    first = platform.staged(task)
    task_groups.cancel_task_group(first.id, by=platform.max)
    (verdict,) = platform.all(CommitVerdict)
    assert verdict.log is not None
    assert "it is broken" in verdict.log
    _age()

    sweeping.sweep_old()

    assert platform.all(CommitVerdict) == []
    assert platform.staged(task).problems[0]["kind"] == "base_is_red"
    assert ran.read_text().split().count(str(first.base_sha)) == 2 * BASE_RUNS
