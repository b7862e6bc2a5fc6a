"""The cache of a Gitea forge on a machine that lost power, or whose disk was full: it is made anew."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import ProviderUnavailable
from common.providers.forge.gitea import GiteaForge
from tests.doubles.gitea import Fault, GiteaDouble
from tests.providers.git_tree import WorkTree, git
from tests.providers.gitea_shop import SHOP, forge, head, pushed, server, work
from tests.providers.runtime_contract import until

pytestmark = pytest.mark.slow

__all__ = ["forge", "head", "server", "work"]


def _empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


def _empty_objects(mirror: Path) -> None:
    for path in mirror.glob("objects/??/*"):
        _empty(path)


def _cut_packs(mirror: Path) -> None:
    git("gc", "--quiet", at=mirror)
    for path in mirror.rglob("*.pack"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:40])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "an empty ref": lambda mirror: _empty(mirror / "refs/remotes/heads/task-1"),
    "an empty HEAD": lambda mirror: _empty(mirror / "HEAD"),
    "packed refs that are none": lambda mirror: (mirror / "packed-refs").write_text("\0" * 40),
    "packs that are cut": _cut_packs,
    "objects that are empty": _empty_objects,
    "no objects": lambda mirror: shutil.rmtree(mirror / "objects"),
    "a configuration that is none": lambda mirror: (mirror / "config").write_text("\0" * 40),
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


def test_a_server_that_is_away_costs_no_mirror(
    server: GiteaDouble, forge: GiteaForge, work: WorkTree, head: str, mirror: Path
) -> None:
    known = mirror.stat().st_ino
    new = work.commit({"b": "b"}, on="task-1")
    work.push("task-1")
    server.faults += [Fault("git-upload-pack", "500") for _ in range(3)]

    with pytest.raises(ProviderUnavailable):
        forge.diff(SHOP, base=head, head=new)

    forge.diff(SHOP, base=head, head=new)
    assert mirror.stat().st_ino == known


def test_what_a_killed_fetch_left_is_removed_by_the_next(
    forge: GiteaForge, work: WorkTree, head: str, mirror: Path
) -> None:
    command = ["git", "index-pack", "--stdin"]
    killed = subprocess.Popen(command, cwd=mirror, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    until(lambda: list(mirror.glob("objects/pack/tmp_pack_*")))
    killed.kill()
    killed.communicate()
    git("gc", "--quiet", at=mirror)
    assert list(mirror.glob("objects/pack/tmp_pack_*"))

    new = work.commit({"b": "b"}, on="task-1")
    work.push("task-1")

    assert [file.path for file in forge.diff(SHOP, base=head, head=new).files] == ["a", "b"]
    assert list(mirror.glob("objects/pack/tmp_pack_*")) == []
