"""What is changed of how the tests run while a proof runs them counts at once: no result of before does."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import Task, TaskGroup
from common.services.projects import projects
from tests.workers.jobs.test_blame import FILES, PYTEST
from tests.workers.jobs.test_train import PLAIN, approved
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def begun(platform: Platform, task: Task, files: dict[str, str | None], mark: Path) -> None:
    """The task's work is proven, and its tests have made the mark."""
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, files))
    platform.run_jobs(until=mark.exists)


def waiting(folder: Path, end: str) -> str:
    """A command that makes the mark `begun`, and ends so when there is a file `go`."""
    return f"touch {folder}/begun; until test -e {folder}/go; do sleep 0.05; done; {end}"


def test_a_result_of_the_former_test_command_does_not_count(platform: Platform, tmp_path: Path) -> None:
    project = platform.project(FILES, test_command=waiting(tmp_path, "exit 1"))
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"test_command": PYTEST}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    assert checks_of(platform, task)["tests"].message == "The tests pass: 1 ran."
    assert platform.get(Task, task.id).state == "ready_to_test"


def test_a_result_of_a_group_with_a_former_variable_does_not_count(platform: Platform, tmp_path: Path) -> None:
    project = platform.project(PLAIN)
    members = approved(platform, project, {"a": "x\n"}, {"b": "x\n"})
    command = waiting(tmp_path, 'test "$SHOP" = open')
    projects.update_project(project.id, {"test_command": command, "env_vars": {"SHOP": "shut"}}, by=platform.max)
    group = platform.group(*members)
    platform.run_jobs(until=(tmp_path / "begun").exists)

    projects.update_project(project.id, {"env_vars": {"SHOP": "open"}}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert (group.state, group.problems, {run.passed for run in group.build.runs}) == ("merged", [], {True})
