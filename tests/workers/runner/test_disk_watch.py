"""When a run fills more of the disk than it may."""

from __future__ import annotations

from pathlib import Path

from workers.runner.disk_watch import DiskBounds, excess

MIB = 2**20


def test_a_run_is_measured_however_deep_its_files_lie(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "large").write_bytes(b"x" * 4 * MIB)

    assert "filled more than 2 MiB" in str(excess(tmp_path, DiskBounds(run_bytes=2 * MIB)))
    assert excess(tmp_path, DiskBounds(run_bytes=8 * MIB)) is None
