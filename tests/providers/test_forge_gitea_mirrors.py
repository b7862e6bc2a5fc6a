"""The cache of a Gitea forge on a machine that lost power, or whose disk was full: it is made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.providers.forge.gitea import GiteaForge
from tests.providers.git_work_tree import WorkTree, git
from tests.providers.gitea_fixtures import SHOP, forge, head, pushed, server, work

pytestmark = pytest.mark.slow

__all__ = ["forge", "head", "server", "work"]


def _empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


def _cut_packs(mirror: Path) -> None:
    git("gc", "--quiet", at=mirror)
    for path in mirror.rglob("*.pack"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:40])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "packs that are cut": _cut_packs,
}


@pytest.fixture
def mirror(forge: GiteaForge, work: WorkTree, head: str, tmp_path: Path) -> Path:
    """The cache of the shop, which has a branch task-1."""
    forge.diff(SHOP, base=head, head=pushed(work))
    (found,) = [path for path in (tmp_path / "mirrors").rglob("*.git") if path.is_dir()]
    return found


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mirror_is_made_anew(forge: GiteaForge, work: WorkTree, head: str, mirror: Path, damage: str) -> None:
    DAMAGES[damage](mirror)
    new = work.commit({"b": "b"}, on="task-1")
    work.push("task-1")

    assert [file.path for file in forge.diff(SHOP, base=head, head=new).files] == ["a", "b"]

    assert forge.ensure_branch(SHOP, "task-2", at=new) == new
    assert [path.name for path in mirror.parent.iterdir() if path.is_dir()] == [mirror.name]
