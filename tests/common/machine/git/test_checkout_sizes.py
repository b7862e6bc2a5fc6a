"""A commit is measured by its objects, without walking its paths."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.machine.git import checkout_sizes
from common.machine.git.environment import git_environment
from common.machine.processes.children import base_environment
from tests.attacks.bombs import empty_bomb, odd_tree_bomb, submodule_bomb, tree_bomb
from tests.providers.git_work_tree import git


@pytest.fixture
def work(tmp_path: Path) -> Path:
    git("init", "--quiet", "--initial-branch=main", str(tmp_path))
    (tmp_path / "file").write_text("content")
    git("add", "--all", at=tmp_path)
    git("commit", "--quiet", "--message", "one", at=tmp_path)
    return tmp_path


def _measure(work: Path, commit: str, **options: float) -> None:
    environ = git_environment(base_environment(os.devnull)) | {"GIT_DIR": str(work / ".git")}
    checkout_sizes.require_bounded([commit], git=["git"], environ=environ, **options)


def test_an_ordinary_commit_is_taken(work: Path) -> None:
    _measure(work, "HEAD")


@pytest.mark.parametrize(
    ("bomb", "what"), [(odd_tree_bomb, "files"), (submodule_bomb, "files"), (empty_bomb, "folders")]
)
def test_an_endless_tree_is_refused_whatever_it_consists_of(work: Path, bomb: Callable[[Path], str], what: str) -> None:
    with pytest.raises(checkout_sizes.TooLarge, match=rf"it has [0-9,]+ {what}, more than 1,000,000"):
        _measure(work, bomb(work))


def test_what_is_not_counted_in_time_says_nothing_about_the_commit(work: Path) -> None:
    with pytest.raises(checkout_sizes.TookTooLong):
        _measure(work, "HEAD", most_seconds=-1)


def test_many_branches_of_a_push_are_measured_together(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counting = tmp_path / "bin" / "git"
    counting.parent.mkdir()
    counting.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/started\nexec {shutil.which("git")} "$@"\n')
    counting.chmod(0o755)
    refs = [f"refs/heads/branch-{number}" for number in range(20)]
    shas = [git("commit-tree", "HEAD^{tree}", "-m", ref, at=work) for ref in refs]
    lines = [f"{'0' * 40} {sha} {ref}\n" for sha, ref in zip(shas, refs, strict=True)]
    lines.append(f"{'0' * 40} {tree_bomb(work)} refs/heads/large\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(lines)))
    monkeypatch.setenv("PATH", f"{counting.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_DIR", str(work / ".git"))

    assert checkout_sizes.main() == 1

    assert "too_large: refs/heads/large can't be accepted: it has" in capsys.readouterr().out
    assert (tmp_path / "started").read_text().split() == ["cat-file"]
