"""Checkpoints in real repositories: beside the driver's own git, and how the run's last commit relates to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.values.runs.claimed_run import Clone
from tests.workers.broken_git import broken_git
from tests.workers.runner.run_sandboxes import confinement
from tests.workers.runner.runner_platform import git, head, make_repository
from workers.runner.processes.cancellation import Cancellation
from workers.runner.workspace.workspace import UNFINISHED, Workspace

__all__ = ["broken_git"]

MESSAGE = f"Unfinished: Do it\n\n{UNFINISHED}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """It refuses every push that is no fast-forward, as the platform's forges do."""
    bare = make_repository(tmp_path / "forge")
    git("config", "receive.denyNonFastForwards", "true", cwd=bare)
    return bare


@pytest.fixture
def workspace(tmp_path: Path, repository: Path) -> Workspace:
    return cloned(tmp_path / "run", repository)


def cloned(directory: Path, repository: Path) -> Workspace:
    workspace = Workspace(directory, Clone(str(repository), "task-1", "main"), Cancellation(), confinement(directory))
    workspace.clone()
    return workspace


def checkpoint(workspace: Workspace) -> str | None:
    commit = workspace.commit_aside(MESSAGE)
    if commit is not None:
        assert workspace.push_aside(commit)
    return commit


def state(workspace: Workspace) -> tuple[str, str, str, str]:
    """Everything of the driver's that a checkpoint must not touch."""
    path = workspace.path
    return (
        git("rev-parse", "HEAD", cwd=path), git("for-each-ref", cwd=path),
        git("diff", "--cached", cwd=path), git("status", "--porcelain", cwd=path),
    )  # fmt: skip


def files(repository: Path) -> list[str]:
    return git("ls-tree", "-r", "--name-only", "task-1", cwd=repository).split()


def parents(repository: Path) -> list[str]:
    return git("log", "-1", "--format=%P", "task-1", cwd=repository).split()


def test_a_checkpoint_has_the_files_as_they_are_and_touches_nothing(workspace: Workspace, repository: Path) -> None:
    (workspace.path / "staged").write_text("1")
    git("add", "staged", cwd=workspace.path)
    (workspace.path / "staged").write_text("2")
    (workspace.path / "loose").write_text("x")
    (workspace.path / "README.md").unlink()
    (workspace.path / ".gitignore").write_text("*.log\n")
    (workspace.path / "big.log").write_text("x")
    (workspace.path / ".git" / "index.lock").touch()
    start = head(repository)
    before = state(workspace)

    commit = checkpoint(workspace)

    assert commit == head(repository)
    assert state(workspace) == before
    assert files(repository) == [".gitignore", "app.txt", "loose", "staged"]
    assert git("show", "task-1:staged", cwd=repository) == "2"
    assert parents(repository) == [start]
    assert git("log", "-1", "--format=%an %B", "task-1", cwd=repository) == f"AI agent {MESSAGE.strip()}"
    assert checkpoint(workspace) is None


def test_the_last_commit_follows_the_checkpoints(workspace: Workspace, repository: Path) -> None:
    for number in (1, 2):
        (workspace.path / "new").write_text(str(number))
        assert checkpoint(workspace)
    last = head(repository)
    (workspace.path / "new").write_text("3")

    commit = workspace.commit_all("Done")

    assert commit == workspace.push() == head(repository)
    assert parents(repository) == [last]
    assert git("show", "task-1:new", cwd=repository) == "3"
    assert git("status", "--porcelain", cwd=workspace.path) == ""


@pytest.mark.parametrize(
    "rewrite",
    [
        ["reset", "-q", "--hard", "HEAD~1"],
        ["checkout", "-q", "--orphan", "fresh"],
    ],
)
def test_whatever_the_driver_does_to_its_history_its_files_are_pushed(
    workspace: Workspace, repository: Path, rewrite: list[str]
) -> None:
    (workspace.path / "own").write_text("1")
    git("add", ".", cwd=workspace.path)
    git("commit", "-q", "-m", "Own", cwd=workspace.path)
    (workspace.path / "loose").write_text("1")
    pushed = checkpoint(workspace)
    git(*rewrite, cwd=workspace.path)
    (workspace.path / "loose").write_text("2")
    (workspace.path / "app.txt").write_text("changed")
    present = sorted(it.name for it in workspace.path.iterdir() if it.name != ".git")
    assert checkpoint(workspace)
    (workspace.path / "loose").write_text("3")

    workspace.commit_all("Done")

    assert workspace.push() == head(repository)
    git("merge-base", "--is-ancestor", str(pushed), "task-1", cwd=repository)
    assert files(repository) == present
    assert git("show", "task-1:loose", cwd=repository) == "3"


LOCKS = ("index.lock", "HEAD.lock", "packed-refs.lock", "refs/heads/task-1.lock", "refs/heads/own.lock",
         "refs/aiworker/head.lock")  # fmt: skip


def leave_locks(workspace: Workspace) -> None:
    """What a git leaves that was killed at the wrong moment."""
    for name in LOCKS:
        lock = workspace.path / ".git" / name
        lock.parent.mkdir(exist_ok=True)
        lock.touch()


def test_the_locks_of_a_killed_git_are_no_obstacle_to_the_last_commit(workspace: Workspace, repository: Path) -> None:
    git("checkout", "--quiet", "-b", "own", cwd=workspace.path)
    (workspace.path / "work.py").write_text("hours of work\n")
    leave_locks(workspace)

    assert workspace.push(workspace.commit_all("Do it")) == head(repository)

    assert "work.py" in files(repository)
    assert git("status", "--porcelain", cwd=workspace.path) == ""


def test_locks_are_removed_in_the_clone_alone(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "refs").mkdir(parents=True)
    for lock in (outside / "HEAD.lock", outside / "refs" / "a.lock"):
        lock.touch()
    (workspace.path / ".git").rename(workspace.path / "moved")
    (workspace.path / ".git").symlink_to(outside)
    workspace.end_commands()
    (workspace.path / ".git").unlink()
    (workspace.path / "moved").rename(workspace.path / ".git")
    (workspace.path / ".git" / "refs" / "led").symlink_to(outside / "refs")
    workspace.end_commands()

    assert sorted(it.name for it in outside.rglob("*.lock")) == ["HEAD.lock", "a.lock"]


@pytest.mark.slow
def test_a_branch_that_somebody_else_moved_gets_no_checkpoint_and_the_last_commit_joins_both(
    workspace: Workspace, repository: Path, tmp_path: Path
) -> None:
    (workspace.path / "ours").write_text("1")
    checkpoint(workspace)
    other = cloned(tmp_path / "other", repository)
    (other.path / "theirs").write_text("x")
    theirs = other.commit_all("Theirs")
    other.push()
    (workspace.path / "ours").write_text("2")
    commit = workspace.commit_aside(MESSAGE)
    assert commit
    assert not workspace.push_aside(commit)
    assert head(repository) == theirs

    workspace.commit_all("Done")

    assert workspace.push() == head(repository)
    assert {"ours", "theirs"} <= set(files(repository))
    assert git("show", "task-1:ours", cwd=repository) == "2"
