"""Working trees that hold what `git add` can't take: the rest of the work is committed all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import CutShort
from common.values.runs.claimed_run import Clone
from tests.workers.broken_git import BrokenGit, broken_git
from tests.workers.runner.run_sandboxes import confinement
from tests.workers.runner.runner_platform import git, make_repository
from workers.runner.processes.cancellation import Cancellation
from workers.runner.workspace.staging import LeftOutLog
from workers.runner.workspace.workspace import Workspace

__all__ = ["broken_git"]

NO_ROOM_FOR_A_FILE = "echo 'error: unable to write file new: No space left on device' >&2; exit 1"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "forge")


@pytest.fixture
def added_texts() -> list[str]:
    """What the run's log would say of paths that are left out."""
    return []


@pytest.fixture
def workspace(tmp_path: Path, repository: Path, added_texts: list[str]) -> Workspace:
    run = tmp_path / "run"
    tell = LeftOutLog(added_texts.append).tell
    clone = Clone(str(repository), "task-1", "main")
    workspace = Workspace(run, clone, Cancellation(), confinement(run), on_left_out=tell)
    workspace.clone()
    (workspace.path / "work.py").write_text("x = 1\n")
    return workspace


def commit(workspace: Workspace) -> None:
    workspace.push(workspace.commit_all("Do it"))


def files(repository: Path) -> list[str]:
    names = git("ls-tree", "-r", "--name-only", "task-1", cwd=repository).splitlines()
    return [name for name in names if name not in {"README.md", "app.txt"}]


def start_repository(path: Path) -> None:
    """A repository with one commit, of `inside.py`, and a file that it ignores."""
    git("init", "--quiet", str(path), cwd=path.parent)
    (path / "inside.py").write_text("y = 1\n")
    (path / ".gitignore").write_text("*.log\n")
    (path / "ignored.log").write_text("x")
    git("add", ".", cwd=path)
    git("commit", "--quiet", "--message", "Within", cwd=path)


def test_files_in_repositories_within_the_working_tree_are_committed_as_its_own(
    workspace: Workspace, repository: Path, added_texts: list[str]
) -> None:
    app = workspace.path / "an app's"
    start_repository(app)
    start_repository(app / "deep")
    git("init", "--quiet", "scratch", cwd=workspace.path)
    (workspace.path / "scratch" / "a.txt").write_text("x")
    git("init", "--quiet", "empty", cwd=workspace.path)
    (workspace.path / "fixture").mkdir()
    (workspace.path / "fixture" / ".git").write_text("gitdir: ../nowhere\n")
    (workspace.path / "fixture" / "f").write_text("x")
    expected = [
        "an app's/.gitignore", "an app's/deep/.gitignore", "an app's/deep/inside.py", "an app's/inside.py", "fixture/f",
        "scratch/a.txt", "work.py",
    ]  # fmt: skip

    aside = workspace.commit_aside("Half of it")
    assert aside
    assert workspace.push_aside(aside)
    assert files(repository) == expected
    (app / "inside.py").write_text("y = 2\n")
    commit(workspace)

    assert files(repository) == expected
    assert git("show", "task-1:an app's/inside.py", cwd=repository) == "y = 2"
    assert added_texts == []


def test_no_file_is_left_out_because_the_disk_is_full(workspace: Workspace, broken_git: BrokenGit) -> None:
    broken_git.end("add", NO_ROOM_FOR_A_FILE, times=1)

    with pytest.raises(CutShort, match="found no room on the disk"):
        workspace.commit_all("Do it")


def seal(workspace: Workspace, *names: str) -> None:
    """Take the right to read these from git in the clone, which even root's git has not in a sandbox."""
    if os.geteuid() == 0 and not workspace.confinement.sandboxes.is_confining:
        pytest.skip("root reads everything without a sandbox")
    for name in names:
        (workspace.path / name).chmod(0)


def test_what_git_may_not_read_is_left_out_and_named_once(
    workspace: Workspace, repository: Path, added_texts: list[str]
) -> None:
    (workspace.path / "locked").write_text("x")
    (workspace.path / "sealed").mkdir()
    (workspace.path / "sealed" / "inside").write_text("x")
    seal(workspace, "locked", "sealed")

    commit_aside = workspace.commit_aside("Half of it")
    assert commit_aside
    assert workspace.push_aside(commit_aside)
    assert files(repository) == ["work.py"]
    (workspace.path / "more.py").write_text("y = 1\n")
    commit(workspace)

    assert files(repository) == ["more.py", "work.py"]
    assert added_texts == ["Not in the commit, as git can't read it: locked, sealed/"]


def test_a_committed_text_is_told_exactly(workspace: Workspace) -> None:
    text = "".join(f"{number}\r\n" for number in range(6000)) + "ÿ\x0c\n"
    (workspace.path / "a b").mkdir()
    (workspace.path / "a b" / "c").write_bytes(text.encode())
    first = workspace.commit_all("Add it")
    (workspace.path / "a b" / "c").write_text("changed")
    workspace.commit_all("Change it")

    assert workspace.committed_text("a b/c", commit=str(first)) == text
    assert workspace.committed_text("a b/c") == "changed"
    assert workspace.committed_text("a b") == workspace.committed_text("none") == ""
    assert not list(workspace.path.glob(".merge_file*"))
