"""Notes on commits: one text for each, wherever git has put the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.names import RECEIPTS_REF
from common.providers.forge.notes import noted
from tests.providers.git_tree import WorkTree, git


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "shop.git"))
    return WorkTree(tmp_path / "work", str(tmp_path / "shop.git"))


def write(work: WorkTree, commit: str, text: str) -> None:
    path = work.path / ".git"
    head = git("for-each-ref", "--format=%(objectname)", RECEIPTS_REF, at=work.path) or None
    git("update-ref", RECEIPTS_REF, noted(path, head=head, commit=commit, text=text), at=work.path)


def read(work: WorkTree, commit: str) -> str:
    return git("notes", f"--ref={RECEIPTS_REF}", "show", commit, at=work.path)


@pytest.mark.parametrize("digits", [0, 2, 4])
def test_a_note_replaces_the_one_before(work: WorkTree, digits: int) -> None:
    """git writes few notes in one folder, and many in folders of folders."""
    commit = work.commit({"a": "a"}, on="main")
    parts = [commit[start : start + 2] for start in range(0, digits, 2)]
    place = "/".join([*parts, commit[digits:]])
    (work.path / "note").write_text("before\n")
    blob = git("hash-object", "-w", "note", at=work.path)
    git("read-tree", "--empty", at=work.path)
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},{place}", at=work.path)
    head = git("commit-tree", git("write-tree", at=work.path), "-m", "Notes", at=work.path)
    git("update-ref", RECEIPTS_REF, head, at=work.path)
    assert read(work, commit) == "before"

    write(work, commit, "after\n")

    assert read(work, commit) == "after"


def test_notes_of_other_commits_stay(work: WorkTree) -> None:
    commits = [work.commit({"a": str(number)}, on="main") for number in range(3)]
    for commit in commits:
        write(work, commit, f"{commit}\n")

    assert [read(work, commit) for commit in commits] == commits
