"""Tests that never ran blame nobody: they wait with their reason, and in the end a person is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from common import jobs
from common.models import Deployment, GroupMember, Job, Project, Question, Task, TaskCheck, TaskGroup
from common.services.delivery import task_groups
from common.transaction import Transaction, transactional
from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.platform import Platform

pytestmark = pytest.mark.timeout(300)

TESTS = "true # the project's tests"


@pytest.fixture
def there(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """Once on SQLite and once on MariaDB."""
    with elsewhere(platform, monkeypatch, folder=tmp_path / "elsewhere") as made:
        yield made


@pytest.fixture
def plain(plain_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    with elsewhere(plain_platform, monkeypatch, folder=tmp_path / "elsewhere") as made:
        yield made


@transactional
def _wait_longer(tx: Transaction, hours: float) -> None:
    """As if what waits for the world had done so for that long already."""
    for job in tx.all(select(Job).where(Job.unavailable_since.is_not(None))):
        assert job.unavailable_since is not None
        job.unavailable_since -= timedelta(hours=hours)


def _proving(platform: Platform, **values: str) -> tuple[Project, Task]:
    """A task whose agent claims to be done; its proof has not begun."""
    project = platform.project(test_command=TESTS, **values)
    task = platform.task(project)
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, {"greeting": "hello\n"}))
    return project, task


def _row(platform: Platform, task: Task, name: str = "tests") -> TaskCheck | None:
    return next(iter(platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.name == name)), None)


def _message(platform: Platform, task: Task) -> str:
    row = _row(platform, task)
    return row.message if row is not None else ""


def test_a_proof_whose_tests_get_no_node_waits_with_the_reason_on_the_task(there: Elsewhere) -> None:
    there.cluster.script(TESTS, "no_room")
    _project, task = _proving(there)
    there.run_jobs(until=lambda: "no node accepts its pod" in _message(there, task))

    row, waiting = _row(there, task), there.get(Task, task.id)
    assert row is not None
    assert (row.status, row.code) == ("running", None)
    assert "Insufficient memory" in row.message
    assert (waiting.state, waiting.phase, waiting.refusals, waiting.round) == ("in_progress", "verifying", 0, 1)

    there.cluster.script(TESTS, "healthy")
    there.run_jobs()
    row = _row(there, task)
    assert row is not None
    assert (row.status, there.get(Task, task.id).state) == ("passed", "ready_to_test")


def test_a_proof_that_could_never_be_run_is_a_persons_matter(there: Elsewhere) -> None:
    there.cluster.script(TESTS, "quota")
    _project, task = _proving(there)
    there.run_jobs(until=lambda: "exceeded quota" in _message(there, task))
    _wait_longer(25)
    there.run_jobs()

    asking = there.get(Task, task.id)
    assert (asking.state, asking.refusals, asking.round) == ("needs_input", 0, 1)
    (question,) = there.all(Question)
    assert "could not verify the work" in question.question
    assert "exceeded quota" in question.question
    assert len(there.runs(task)) == 1


def test_a_groups_tests_that_never_ran_blame_no_member(plain: Elsewhere) -> None:
    project = plain.project(test_command=TESTS)
    *members, other = [plain.approved(project, f"Greet {name}", {name: "hello\n"}) for name in ("a", "b", "c")]
    plain.cluster.script(TESTS, "no_room")
    group = plain.group(*members)

    def waits() -> bool:
        merging = plain.all(Job, Job.kind == jobs.MERGE_GROUP.name)
        return any("no node accepts its pod" in str(job.error) for job in merging)

    plain.run_jobs(until=waits)
    view = task_groups.read_task_group(group.id, by=plain.max)
    assert view.group.state == "merging"
    assert [(check.status, "no node accepts its pod" in check.message) for check in view.checks] == [("running", True)]
    plain.cluster.script(TESTS, "healthy")
    plain.run_jobs()
    assert plain.get(TaskGroup, group.id).state == "merged"

    plain.cluster.script(TESTS, "no_room")
    late = plain.group(other)
    plain.run_jobs(until=waits)
    _wait_longer(25)
    plain.run_jobs()
    failed = plain.get(TaskGroup, late.id)
    assert (failed.state, "no node accepts its pod" in str(failed.error)) == ("failed", True)
    assert plain.all(GroupMember, GroupMember.removed_reason.is_not(None)) == []


def test_a_preview_without_room_does_not_refuse_the_work(plain: Elsewhere) -> None:
    plain.cluster.script("registry.test/shop:1", "no_room")
    project = plain.project(docker_image="registry.test/shop:1")
    task = plain.task(project)
    plain.work(task, {"greeting": "hello\n"})

    row, ready = _row(plain, task, "preview"), plain.get(Task, task.id)
    assert row is not None
    assert (row.status, ready.state, ready.refusals, ready.preview_url) == ("skipped", "ready_to_test", 0, None)
    assert "no node accepted its pod" in row.message
    (preview,) = plain.all(Deployment)
    assert (preview.state, preview.error_code) == ("failed", "no_room")


def test_a_local_runtime_that_does_not_answer_is_said_on_the_task(plain_platform: Platform) -> None:
    project, task = _proving(plain_platform)
    plain_platform.supervisor.stop()
    plain_platform.run_jobs(until=lambda: "supervisor does not answer" in _message(plain_platform, task))

    waiting = plain_platform.get(Task, task.id)
    assert (waiting.phase, waiting.refusals, plain_platform.all(Question)) == ("verifying", 0, [])
    assert project.test_command == TESTS
