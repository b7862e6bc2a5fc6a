"""A branch that is made without git is git's own, and what is not plain is left to git."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.providers.forge import loose_refs
from tests.providers.git_work_tree import git

NEW = "refs/heads/task/one"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "shop.git"
    git("init", "--quiet", "--bare", str(path))
    return path


@pytest.fixture
def commit(bare: Path) -> str:
    return _commit(bare, "one")


def _commit(bare: Path, text: str) -> str:
    return git("commit-tree", _tree(bare), "-m", text, at=bare)


def _tree(bare: Path) -> str:
    (bare / "nothing").touch()
    return git("hash-object", "-t", "tree", "-w", "nothing", at=bare)


def _locks(bare: Path) -> list[Path]:
    return list((bare / "refs").rglob("*.lock"))


def test_git_finds_the_branch_and_moves_it(bare: Path, commit: str) -> None:
    assert loose_refs.create(bare, NEW, at=commit)

    assert git("for-each-ref", "--format=%(refname) %(objectname)", at=bare) == f"{NEW} {commit}"
    assert loose_refs.head_of(bare, NEW) == commit
    later = _commit(bare, "two")
    git("update-ref", NEW, later, commit, at=bare)
    git("pack-refs", "--all", at=bare)
    assert git("rev-parse", NEW, at=bare) == later
    git("fsck", "--strict", at=bare)
    assert _locks(bare) == []


def _is_packed(bare: Path, commit: str) -> None:
    git("update-ref", NEW, _commit(bare, "other"), at=bare)
    git("pack-refs", "--all", at=bare)


def _one_is_above(bare: Path, commit: str) -> None:
    git("update-ref", "refs/heads/task", commit, at=bare)


def _has_a_packed_commit(bare: Path, commit: str) -> None:
    git("update-ref", "refs/heads/main", commit, at=bare)
    git("repack", "-a", "-d", "--quiet", at=bare)


@pytest.mark.parametrize("before", [_is_packed, _one_is_above, _has_a_packed_commit])
def test_what_is_not_plain_is_left_to_git(bare: Path, commit: str, before: Callable[[Path, str], None]) -> None:
    before(bare, commit)
    files = {file for file in bare.rglob("*") if file.is_file()}

    assert not loose_refs.create(bare, NEW, at=commit)

    assert {file for file in bare.rglob("*") if file.is_file()} == files


def test_a_commit_must_be_one(bare: Path, commit: str) -> None:
    for wrong in (_tree(bare), "0" * 40, "main", commit[:-1], commit.upper()):
        assert not loose_refs.create(bare, NEW, at=wrong)
    assert not loose_refs.create(bare, "refs/tags/v1", at=commit)

    assert git("for-each-ref", at=bare) == ""
