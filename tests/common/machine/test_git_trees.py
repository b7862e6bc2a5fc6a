"""A commit is measured by its objects, without walking its paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.machine import git_trees
from common.machine.children import base_environment
from common.machine.git_environment import git_environment
from tests.attacks.bombs import deep_tree, tree_bomb
from tests.providers.git_tree import git


@pytest.fixture
def work(tmp_path: Path) -> Path:
    git("init", "--quiet", "--initial-branch=main", str(tmp_path))
    (tmp_path / "file").write_text("content")
    git("add", "--all", at=tmp_path)
    git("commit", "--quiet", "--message", "one", at=tmp_path)
    return tmp_path


def _measure(work: Path, commit: str, **options: float) -> None:
    environ = git_environment(base_environment(os.devnull)) | {"GIT_DIR": str(work / ".git")}
    git_trees.require_bounded([commit], git=["git"], environ=environ, **options)


def test_an_ordinary_commit_is_taken(work: Path) -> None:
    _measure(work, "HEAD")


def test_a_tree_of_endless_paths_is_refused_at_once(work: Path) -> None:
    with pytest.raises(git_trees.TooLarge, match="files"):
        _measure(work, tree_bomb(work))


def test_folders_within_folders_are_counted(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_trees, "DEEPEST", 10)
    _measure(work, deep_tree(work, depth=9))
    with pytest.raises(git_trees.TooLarge, match="levels of folders"):
        _measure(work, deep_tree(work, depth=10))


def test_what_is_not_counted_in_time_says_nothing_about_the_commit(work: Path) -> None:
    with pytest.raises(git_trees.TookTooLong):
        _measure(work, "HEAD", most_seconds=-1)


def test_what_is_no_repository_can_not_be_measured(tmp_path: Path) -> None:
    with pytest.raises(git_trees.Unreadable):
        _measure(tmp_path, "HEAD")
