"""A file is the old or the new, whole, and what a killed writer left does not stay."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from common.machine.files import remove_tree, replace_file, write_new
from tests.deep_folders import deep_folders


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(("mode", "has_rivals"), [(0o600, False), (0o700, True)])
def test_a_file_is_replaced_with_its_mode_and_nothing_else_stays(tmp_path: Path, mode: int, has_rivals: bool) -> None:
    path = tmp_path / "record"
    path.write_text("old")
    path.chmod(0o644)

    replace_file(path, b"new", mode=mode, has_rivals=has_rivals)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert _names(tmp_path) == ["record"]


@pytest.mark.parametrize("has_rivals", [False, True])
def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_rivals: bool
) -> None:
    path = tmp_path / "record"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new", has_rivals=has_rivals)

    assert path.read_text() == "old"
    assert _names(tmp_path) == ["record"]


def test_the_disk_has_the_content_before_the_name_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    path, sync = tmp_path / "record", os.fsync

    def noted(descriptor: int) -> None:
        done.append(f"{Path(f'/proc/self/fd/{descriptor}').resolve().name} {path.exists()}")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    replace_file(path, b"one")
    assert done == [".record.new False", f"{tmp_path.name} True"]

    replace_file(path, b"two", is_synced=False)
    assert len(done) == 2


def test_a_new_file_is_never_written_over(tmp_path: Path) -> None:
    write_new(tmp_path / "key", b"first")

    with pytest.raises(FileExistsError):
        write_new(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"


def test_a_tree_goes_whatever_its_modes(tmp_path: Path) -> None:
    inner = tmp_path / "build" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    (tmp_path / "kept").mkdir(mode=0o500)
    (inner / "link").symlink_to(tmp_path / "kept")
    inner.chmod(0o000)
    for directory in (inner.parent, tmp_path / "build"):
        directory.chmod(0o500)

    remove_tree(tmp_path / "build")
    remove_tree(tmp_path / "build")

    assert _names(tmp_path) == ["kept"]
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o500


def test_a_tree_goes_however_deep_it_is(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    with deep_folders(tmp_path / "build", name="node_modules") as innermost:
        # More folders than Python's recursion allows, and a path that is longer than the system's longest.
        os.symlink(tmp_path / "kept", "link", dir_fd=innermost)

        remove_tree(tmp_path / "build")

    assert _names(tmp_path) == ["kept"]
    assert _names(tmp_path / "kept") == ["file"]
