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


def test_a_file_with_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 2**20)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "link").symlink_to("/usr")

    assert 2**20 <= disk.bytes_below(tmp_path) < 2 * 2**20


def test_counting_ends_above_what_was_asked_for(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}" / "below").mkdir(parents=True)
        (tmp_path / f"{number}" / "file").write_bytes(b"x" * 2**20)

    assert 2**20 < disk.bytes_below(tmp_path, 2**20) < 3 * 2**20
    assert disk.bytes_below(tmp_path, 2**30) == disk.bytes_below(tmp_path) > 3 * 2**20
