"""Whether a disk has room for new work."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.machine import disk
from common.machine.disk import DiskState


@pytest.mark.parametrize(
    ("reserve", "state", "has_room"),
    [(0, DiskState.OK, True), (2**60, DiskState.LOW, False)],
)
def test_what_must_stay_free_decides(tmp_path: Path, reserve: int, state: DiskState, has_room: bool) -> None:
    found = disk.look(tmp_path / "not" / "there", reserve)

    assert (found.where, found.state, found.has_room) == (tmp_path, state, has_room)


def test_it_warns_before_it_stops(tmp_path: Path) -> None:
    free = disk.look(tmp_path, 0).free_bytes

    found = disk.Disk(tmp_path, free_bytes=free, reserve_bytes=free * 2 // 3)

    assert (found.state, found.has_room) == (DiskState.SCARCE, True)
    assert disk.Disk(tmp_path, 0, 0).state is DiskState.FULL
