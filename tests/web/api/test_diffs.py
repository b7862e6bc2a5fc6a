"""The diff of a task over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models.project import Project
from common.providers.forge import local_forge
from common.states import TaskState
from common.values.repository import Repository
from tests.providers.git_tree import WorkTree
from tests.web.made import a_project, a_task, set_state


@pytest.fixture
def forge_of_app(plain_app: Flask) -> Iterator[None]:
    """The local forge, on this test's data."""
    local_forge.cache_clear()
    yield
    local_forge.cache_clear()


def _repository(project: Project) -> Path:
    where = Repository(project.repository_owner, project.slug, project.id)
    local_forge().ensure_repository(where, default_branch="main", description="", import_url=None)
    return local_forge().repository_path(where)


@pytest.mark.usefixtures("forge_of_app")
def test_a_diff_is_what_the_branch_changes(plain_member: FlaskClient, tmp_path: Path) -> None:
    project = a_project()
    task = a_task(project)
    path = f"/api/tasks/{task.id}/diff"
    nothing = {"baseSha": None, "headSha": None, "files": [], "patch": "", "truncated": False}
    assert plain_member.get(path).json == nothing
    tree = WorkTree(tmp_path / "tree", str(_repository(project)))
    assert plain_member.get(path).json == nothing
    base = tree.commit({"a.txt": "one\n"}, on="main")
    first = tree.commit({"a.txt": "two\n", "b.txt": "new\n"}, on=task.branch_name)
    tree.push("main", task.branch_name)

    diff = plain_member.get(path).json

    assert (diff["baseSha"], diff["headSha"], diff["truncated"]) == (base, first, False)
    assert [(file["path"], file["status"], file["additions"]) for file in diff["files"]] == [
        ("a.txt", "modified", 1), ("b.txt", "added", 1)
    ]  # fmt: skip
    assert "+two\n" in diff["patch"]
    tree.commit({"c.txt": "later\n"}, on=task.branch_name)
    tree.push(task.branch_name)
    set_state(task, TaskState.READY_TO_TEST, head_sha=first)
    assert plain_member.get(path).json["headSha"] == first
