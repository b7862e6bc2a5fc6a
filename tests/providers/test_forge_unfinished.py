"""What a killed push leaves in a repository of the local forge does not stay there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from common.machine.git.leftover_locks import ABANDONED_SECONDS
from common.providers.forge import BareForge, git
from common.values.repository import Repository
from tests.providers.git_work_tree import WorkTree
from tests.providers.git_work_tree import git as as_person

SHOP = Repository("aiworker", "shop", "project-1")


@pytest.fixture
def forge(tmp_path: Path) -> BareForge:
    forge = BareForge(tmp_path / "root", public_url="http://x", internal_url="http://x", import_allow=())
    forge.ensure_repository(SHOP, default_branch="main", description="", import_url=None)
    return forge


def _killed_push(forge: BareForge, folder: Path) -> Path:
    """Push, with a git that is killed before the branch moves; returns the folder that it leaves."""
    work = WorkTree(folder / "work", forge.read_source(SHOP).clone_url)
    work.commit({"a": "a"}, on="task-1")
    hook = folder / "hooks" / "pre-receive"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o700)
    receive = f"git -c core.hooksPath={hook.parent} receive-pack"
    as_person("push", f"--receive-pack={receive}", "origin", "task-1", at=work.path, accept=(1, 128))
    (left,) = (forge.repository_path(SHOP) / "objects").glob("tmp_objdir-*")
    return left


def _make_old(left: Path) -> None:
    then = time.time() - ABANDONED_SECONDS - 60
    os.utime(left, (then, then))


def test_what_a_killed_push_left_is_removed_once_it_is_old(forge: BareForge, tmp_path: Path) -> None:
    left = _killed_push(forge, tmp_path)

    forge.delete_credential(SHOP, run_id="run-1")
    assert left.exists()
    _make_old(left)
    git.run(forge.repository_path(SHOP), "gc", "--quiet")
    assert left.exists()
    forge.delete_credential(SHOP, run_id="run-1")

    assert not left.exists()
    git.run(forge.repository_path(SHOP), "fsck", "--strict")
    assert forge.read_head(SHOP, "main") is not None
