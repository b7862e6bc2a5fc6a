"""Free space on a disk, whether it is enough for new work to begin, and how much of it a directory occupies."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LEAST_BYTES = 2**30
LEAST_SHARE = 0.02
FULL_BYTES = 2**20
"""With less free than this, writes fail or will fail soon."""
EARLY = 2
"""SCARCE is reported below this many times the reserve."""


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
    def has_room(self) -> bool:
        """Whether new work may begin."""
        return self.state in {DiskState.OK, DiskState.SCARCE}


def look(path: Path, reserve_bytes: int | None) -> Disk:
    """Measure the disk of this path, or of the nearest existing directory above it.

    reserve_bytes: None: the larger of 1 GiB and 2 % of the disk.
    """
    where = next(parent for parent in (path, *path.parents) if parent.exists())
    usage = shutil.disk_usage(where)
    reserve = max(LEAST_BYTES, int(usage.total * LEAST_SHARE)) if reserve_bytes is None else reserve_bytes
    return Disk(where, usage.free, reserve)


def bytes_below(directory: Path, most_bytes: int | None = None) -> int:
    """The bytes that everything below the directory occupies on the disk; a file with several names counts once.

    Links are not followed. What disappears meanwhile is left out, and what lies deeper than the system takes paths.
    most_bytes: counting ends above it; None: everything is counted.
    """
    total, linked, waiting = 0, set[tuple[int, int]](), [str(directory)]
    while waiting and (most_bytes is None or total <= most_bytes):
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    elif found.st_nlink > 1:
                        if (found.st_dev, found.st_ino) in linked:
                            continue
                        linked.add((found.st_dev, found.st_ino))
                    total += found.st_blocks * 512
    return total
