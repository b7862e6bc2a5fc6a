"""`aiworker project import`: real git pushes a folder of this machine into a new project."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from common.models import Project
from common.providers.forge import forge
from common.values.states import ProjectState, Role
from tests import builders
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import git
from tests.web.factories import set_state
from tests.web.git.test_smart_http import served_app
from tests.web.world import all_of, forget_providers, repository_of
from web.cli.api_error import ApiError
from web.cli.client import api_of
from web.cli.commands.project_import import import_project
from web.cli.terminal import Terminal


@pytest.fixture
def terminal(plain_app: Flask) -> Iterator[Terminal]:
    """max's, for a platform that provisions projects."""
    forget_providers()
    token = builders.a_token(builders.a_user("max", Role.MAINTAINER))
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            for project in all_of(Project, Project.state_ == "provisioning"):
                where, branch = repository_of(project), project.default_branch
                forge().ensure_repository(where, default_branch=branch, description="", import_url=None)
                set_state(project, ProjectState.ACTIVE)

    worker = threading.Thread(target=work, daemon=True)
    with served_app(plain_app) as port:
        worker.start()
        yield Terminal(f"http://127.0.0.1:{port}", token, is_json=False)
        over.set()
        worker.join(LONG_WAIT_SECONDS)
    forget_providers()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "web shop"
    made.mkdir()
    git("init", "--quiet", "--initial-branch=trunk", at=made)
    for number in range(2):
        (made / f"{number}.txt").write_text(f"{number}\n")
        git("add", "--all", at=made)
        git("commit", "--quiet", "--message", f"Commit {number}", at=made)
    return made


def imported(terminal: Terminal, *words: str) -> Result:
    return CliRunner().invoke(import_project, words, obj=terminal)


@pytest.mark.slow
def test_a_folder_becomes_a_project_with_its_history(terminal: Terminal, folder: Path, tmp_path: Path) -> None:
    before = git("log", "--all", "--format=%H %D", at=folder), git("status", "--porcelain", at=folder)

    result = imported(terminal, str(folder), "--test-command", "make test")

    assert result.exit_code == 0, result.output
    (project,) = all_of(Project)
    assert (project.name, project.default_branch, project.test_command) == ("web shop", "trunk", "make test")
    assert "Imported trunk of" in result.output
    with api_of(terminal) as api:
        url = f"{api.url.replace('//', f'//x:{api.token()}@')}/git/{project.repository_owner}/{project.slug}.git"
    clone = tmp_path / "clone"
    git("clone", "--quiet", url, str(clone))
    assert sorted(path.name for path in clone.iterdir()) == [".git", "0.txt", "1.txt"]
    assert git("merge-base", "--is-ancestor", git("rev-parse", "HEAD", at=folder), "HEAD", at=clone) == ""
    assert (git("log", "--all", "--format=%H %D", at=folder), git("status", "--porcelain", at=folder)) == before


@pytest.mark.slow
def test_a_refused_push_leaves_no_project(terminal: Terminal, folder: Path) -> None:
    (folder / ".git" / "shallow").write_text(git("rev-parse", "HEAD", at=folder) + "\n")

    result = imported(terminal, str(folder))

    assert isinstance(result.exception, ApiError)
    assert "git push failed" in str(result.exception)
    assert "shallow update not allowed" in str(result.exception)
    assert [project.state_ for project in all_of(Project) if project.state_ != "deleting"] == []


def test_the_token_follows_no_redirect(
    terminal: Terminal, folder: Path, plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = plain_app.wsgi_app

    def elsewhere(environ: dict[str, Any], start_response: Any) -> Any:
        if not environ["PATH_INFO"].endswith("/info/refs"):
            return answer(environ, start_response)
        asked.append(environ["PATH_INFO"])
        start_response("302 Found", [("Location", f"/moved{environ['PATH_INFO']}?{environ['QUERY_STRING']}")])
        return []

    monkeypatch.setattr(plain_app, "wsgi_app", elsewhere)

    result = imported(terminal, str(folder))

    assert "git ls-remote failed" in str(result.exception)
    assert [path for path in asked if path.startswith("/moved")] == []


@pytest.mark.parametrize(("made", "error"), [(False, "is in no git repository"), (True, "has no branch with a commit")])
def test_a_folder_with_nothing_to_import_makes_no_project(
    terminal: Terminal, tmp_path: Path, made: bool, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No repository further up, wherever the tests run.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    if made:
        git("init", "--quiet", at=tmp_path)

    result = imported(terminal, str(tmp_path))

    assert error in str(result.exception)
    assert all_of(Project) == []
