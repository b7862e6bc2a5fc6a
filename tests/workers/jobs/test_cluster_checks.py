"""Tests that never ran blame nobody: they wait with their reason, and in the end a person is asked."""

from __future__ import annotations

import pytest

from common.models import Deployment, Project, Task, TaskCheck
from tests.workers.gitea_and_cluster import GiteaAndCluster
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

TESTS = "true # the project's tests"


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


def test_a_proof_whose_tests_get_no_node_waits_with_the_reason_on_the_task(plain: GiteaAndCluster) -> None:
    plain.cluster.script(TESTS, "no_room")
    _project, task = _proving(plain)
    plain.run_jobs(until=lambda: "no node accepts its pod" in _message(plain, task))

    row, waiting = _row(plain, task), plain.get(Task, task.id)
    assert row is not None
    assert (row.status, row.code) == ("running", None)
    assert "Insufficient memory" in row.message
    assert (waiting.state, waiting.phase, waiting.refusals, waiting.round) == ("in_progress", "verifying", 0, 1)

    plain.cluster.script(TESTS, "healthy")
    plain.run_jobs()
    row = _row(plain, task)
    assert row is not None
    assert (row.status, plain.get(Task, task.id).state) == ("passed", "ready_to_test")


def test_a_preview_without_room_does_not_refuse_the_work(plain: GiteaAndCluster) -> None:
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
