"""What a killed git left locked in a repository is opened again, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

from common.machine.git.leftover_locks import forget_locks
from tests.providers.git_work_tree import git


def test_a_locked_repository_takes_pushes_again(tmp_path: Path) -> None:
    bare, work = tmp_path / "shop.git", tmp_path / "work"
    git("init", "--quiet", "--bare", str(bare))
    git("init", "--quiet", "--initial-branch=task/one", str(work))
    git("commit", "--quiet", "--allow-empty", "-m", "one", at=work)
    git("push", "--quiet", str(bare), "task/one", at=work)
    before = set(bare.rglob("*"))
    for name in ("packed-refs.lock", "config.lock", "refs/heads/task/one.lock"):
        (bare / name).touch()
    git("commit", "--quiet", "--allow-empty", "-m", "two", at=work)
    git("push", "--quiet", str(bare), "task/one", at=work, accept=(1, 128))

    forget_locks(bare)
    forget_locks(bare)
    git("push", "--quiet", str(bare), "task/one", at=work)
    assert before <= set(bare.rglob("*"))
    assert not list(bare.rglob("*.lock"))
