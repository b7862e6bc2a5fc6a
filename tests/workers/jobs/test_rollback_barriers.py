"""What a version's mark says of the older versions, also where the mark or an older commit can't be read."""

from __future__ import annotations

import pytest

from common.models import Project
from common.providers.forge import local_forge
from common.values.delivery.rollback_barrier import Barrier
from tests.workers.platform import Platform
from workers.jobs.rollback_barrier import PATH, read_barrier

pytestmark = pytest.mark.slow

GONE = "0123456789" * 4
THIS = "oldest: this\nreason: Migration 12 drops a column\n"
LARGE = THIS + "#" * 100_000


def _committed(platform: Platform, project: Project, mark: str) -> str:
    """A new commit of the default branch that has this mark."""
    tree = platform.clone(project)
    sha = tree.commit({PATH: mark, "page.txt": tree.path.name}, on="main")
    tree.push("main")
    return sha


def _read(platform: Platform, project: Project, mark: str, *older: str) -> Barrier | None:
    commit = _committed(platform, project, mark)
    return read_barrier(local_forge(), platform.repository(project.id), commit, older)


@pytest.mark.parametrize("oldest", ["this", GONE])
def test_a_commit_that_is_gone_is_no_way_back(platform: Platform, oldest: str) -> None:
    """It can't be deployed, nor is known what it declared."""
    project = platform.project()
    mark = f"oldest: {oldest}\nreason: Migration 12 drops a column\n"
    same = _committed(platform, project, mark)

    barrier = _read(platform, project, mark, same, GONE)

    blocked = (GONE,) if oldest == "this" else (same, GONE)
    assert barrier == Barrier("Migration 12 drops a column", blocked)


UNREADABLE = {
    "deep": "[" * 3000,
    "timestamp": "reason: !!timestamp x\n",
    "large": LARGE,
}


@pytest.mark.parametrize("mark", UNREADABLE)
def test_a_mark_that_can_not_be_read_blocks_every_rollback(platform: Platform, mark: str) -> None:
    project = platform.project()
    older = local_forge().read_head(platform.repository(project.id), "main")
    assert older is not None

    barrier = _read(platform, project, UNREADABLE[mark], older)

    assert barrier is not None
    assert barrier.blocked == (older,)
    assert barrier.reason.startswith(f"{PATH} can't be understood: ")
