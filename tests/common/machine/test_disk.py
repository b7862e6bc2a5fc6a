"""Whether a disk has room for new work."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.machine import disk
from common.machine.disk import DiskState
from tests.deep_folders import DEPTH, deep_folders


@pytest.mark.parametrize(
    ("reserve", "state", "has_disk_space"),
    [(0, DiskState.OK, True), (2**60, DiskState.LOW, False)],
)
def test_what_must_stay_free_decides(tmp_path: Path, reserve: int, state: DiskState, has_disk_space: bool) -> None:
    found = disk.measure_disk(tmp_path / "not" / "there", reserve)

    assert (found.where, found.state, found.has_disk_space) == (tmp_path, state, has_disk_space)


def test_a_file_with_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 2**20)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "link").symlink_to("/usr")

    assert 2**20 <= disk.bytes_below(tmp_path) < 2 * 2**20


def test_files_count_however_deep_they_lie(tmp_path: Path) -> None:
    with deep_folders(tmp_path / "top") as innermost:
        with os.fdopen(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=innermost), "wb") as file:
            file.write(b"x" * 2**20)
        descriptors = len(os.listdir("/proc/self/fd"))

        assert 2**20 <= disk.bytes_below(tmp_path) < 2**20 + DEPTH * 2**15
        assert len(os.listdir("/proc/self/fd")) == descriptors


@contextlib.contextmanager
def _holding(*descriptors: int) -> Iterator[int]:
    """A process that has these alone: pytest itself keeps files without a name."""
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=descriptors
    ) as process:
        yield process.pid
        process.communicate()


def test_open_files_without_a_name_count_once(tmp_path: Path) -> None:
    with (tmp_path / "unlinked").open("wb") as file, (tmp_path / "named").open("wb") as named:
        file.write(b"x" * 2**20)
        named.write(b"x" * 2**20)
        file.flush()
        named.flush()
        (tmp_path / "unlinked").unlink()
        with _holding(file.fileno(), named.fileno()) as one, _holding(file.fileno()) as other:
            assert 2**20 <= disk.unlinked_bytes([one, one, other], tmp_path) < 2 * 2**20
    assert disk.unlinked_bytes([2**22 + 1], tmp_path) == 0
