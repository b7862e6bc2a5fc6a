"""Free space on a disk, whether it is enough for new work to begin, and how much of it files occupy."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

LEAST_BYTES = 2**30
LEAST_SHARE = 0.02
FULL_BYTES = 2**20
"""With less free than this, writes fail or will fail soon."""
EARLY = 2
"""SCARCE is reported below this many times the reserve."""
BLOCK_BYTES = 512
"""The unit of `st_blocks`, see stat(3type)."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_HELD_FOLDERS = 32
"""So many levels of a tree stay open while it is measured. Few trees are deeper, and a process may open few files."""


class DiskState(StrEnum):
    OK = "ok"
    SCARCE = "scarce"
    """Space should be freed soon."""
    LOW = "low"
    """No new work begins."""
    FULL = "full"
    """Writes fail."""


@dataclass(frozen=True)
class Disk:
    """where: the directory whose disk was measured. reserve_bytes: must be free for new work to begin."""

    where: Path
    free_bytes: int
    reserve_bytes: int

    @property
    def state(self) -> DiskState:
        if self.free_bytes < FULL_BYTES:
            return DiskState.FULL
        if self.free_bytes < self.reserve_bytes:
            return DiskState.LOW
        return DiskState.SCARCE if self.free_bytes < EARLY * self.reserve_bytes else DiskState.OK

    @property
    def has_disk_space(self) -> bool:
        """Whether new work may begin."""
        return self.state in {DiskState.OK, DiskState.SCARCE}


def measure_disk(path: Path, reserve_bytes: int | None) -> Disk:
    """Measure the disk of this path, or of the nearest existing directory above it.

    reserve_bytes: None: the larger of 1 GiB and 2 % of the disk.
    """
    where = next(parent for parent in (path, *path.parents) if parent.exists())
    usage = shutil.disk_usage(where)
    reserve = max(LEAST_BYTES, int(usage.total * LEAST_SHARE)) if reserve_bytes is None else reserve_bytes
    return Disk(where, usage.free, reserve)


def bytes_below(directory: Path, most_bytes: int | None = None) -> int:
    """The bytes that everything below the directory occupies on the disk; a file with several names counts once.

    Links are not followed. Depth and the length of paths have no bound. What can't be read, or disappears or is moved
    meanwhile, is left out. most_bytes: counting ends above it; None: everything is counted.
    """
    total, linked = 0, set[tuple[int, int]]()
    with contextlib.closing(_found_below(directory)) as everything:
        for found in everything:
            if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in linked:
                    continue
                linked.add((found.st_dev, found.st_ino))
            total += found.st_blocks * BLOCK_BYTES
            if most_bytes is not None and total > most_bytes:
                break
    return total


def unlinked_bytes(pids: Iterable[int], directory: Path) -> int:
    """The bytes of files without a name that these processes hold open on the directory's disk; each file counts once.

    Processes that have ended, or whose descriptors this user may not see, are left out; so is a file that is only
    mapped into memory. 0 if there is no such directory.
    """
    files: dict[int, int] = {}
    with contextlib.suppress(OSError):
        device = os.stat(directory).st_dev
        for pid in pids:
            for found in open_files(pid):
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and found.st_dev == device:
                    files[found.st_ino] = found.st_blocks * BLOCK_BYTES
    return sum(files.values())


def open_files(pid: int) -> Iterator[os.stat_result]:
    """What the descriptors of a process lead to; nothing if it has ended or is another user's."""
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                yield descriptor.stat()


@dataclass
class _Folder:
    """An open directory. names: of the directories in it that are still to be visited. descriptor: -1 once closed."""

    descriptor: int
    names: list[str] = field(default_factory=list)
    identity: tuple[int, int] = (0, 0)

    def look(self) -> Iterator[os.stat_result]:
        """What is in it."""
        with contextlib.suppress(OSError):
            self.identity = _identity(self.descriptor)
            with os.scandir(self.descriptor) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(found.st_mode):
                            self.names.append(entry.name)
                        yield found

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _found_below(directory: Path) -> Generator[os.stat_result]:
    """Everything below. From one directory to the next it goes by descriptors, as a path may be too long for one."""
    folders: list[_Folder] = []
    try:
        with contextlib.suppress(OSError):
            folders.append(_Folder(os.open(directory, _DIRECTORY)))
            yield from folders[0].look()
        while folders:
            here = folders[-1]
            if not here.names:
                _go_up(folders)
                continue
            try:
                below = _Folder(os.open(here.names.pop(), _DIRECTORY | os.O_NOFOLLOW, dir_fd=here.descriptor))
            except OSError:
                continue
            folders.append(below)
            yield from below.look()
            if not below.names:
                folders.pop().close()
            elif len(folders) > _HELD_FOLDERS + 1:
                here.close()
    finally:
        for folder in folders:
            folder.close()


def _go_up(folders: list[_Folder]) -> None:
    """Leave the last folder. The one above it is opened again if it was closed; if that fails, as the last one was
    moved, the next one above that was not closed follows.
    """
    with contextlib.closing(folders.pop()) as left:
        if folders and folders[-1].descriptor < 0:
            with contextlib.suppress(OSError):
                above = os.open("..", _DIRECTORY, dir_fd=left.descriptor)
                if _identity(above) == folders[-1].identity:
                    folders[-1].descriptor = above
                else:
                    os.close(above)
    while folders and folders[-1].descriptor < 0:
        folders.pop()


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
