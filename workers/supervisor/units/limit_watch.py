"""Notices when a unit uses more memory, or its workplace more disk, than it may."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from common.machine import disk
from common.settings.kubernetes import amount
from common.values.testing.check import CheckEnd
from workers.supervisor.units.units import Unit

POLL_SECONDS = 1.0
SMALL_BYTES = 512 * 2**20
"""A unit that wrote less is not ended for a disk that is almost full."""
STEP_BYTES = 256 * 2**20
"""The workplace is measured when the disk's free space has shrunk by this much, or MEASURE_SECONDS after the last time.
"""
MEASURE_SECONDS = 5.0
SHARE = 100
"""Measuring reads every folder, so the pause after it is at least so many times as long as it took; a tenth of that if
the disk's free space has shrunk."""


@dataclass(frozen=True)
class Bound:
    """What one command may use.

    memory_limit: a Kubernetes quantity, None: unlimited. disk_bytes: of all files below `directory`, its workplace, and
    of those that its processes hold open after their names were removed.
    """

    memory_limit: str | None
    directory: Path
    disk_bytes: int


@dataclass(frozen=True)
class Excess:
    """code: CheckEnd.MEMORY or CheckEnd.DISK. words: a predicate, such as `used 300 MiB of memory, …`."""

    code: CheckEnd
    words: str


class Excesses:
    """Looks at one unit. Create it when the unit has started."""

    def __init__(self, unit: Unit, bound: Bound) -> None:
        self._unit = unit
        self._bound = bound
        self._memory_bytes = bytes_of(bound.memory_limit)
        self._step_bytes = min(STEP_BYTES, bound.disk_bytes // 4)
        self._first_free = self._last_free = disk.measure_disk(bound.directory, None).free_bytes
        self._took_seconds, self._measured_at = 0.0, time.monotonic()

    async def first(self) -> Excess:
        """Return when the unit exceeds its bound. Cancel it when the unit has ended."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # The supervisor may have no file descriptor left for a look; the next one may succeed.
            with contextlib.suppress(OSError):
                if (found := self._of_memory() or await self._of_disk()) is not None:
                    return found

    def _of_memory(self) -> Excess | None:
        most = self._memory_bytes
        if most is None or (used := self._unit.resident_bytes()) <= most:
            return None
        return Excess(CheckEnd.MEMORY, f"used {used // 2**20} MiB of memory, its limit is {most // 2**20} MiB")

    async def _of_disk(self) -> Excess | None:
        bound, now = self._bound, disk.measure_disk(self._bound.directory, None)
        passed_seconds, pause_seconds = time.monotonic() - self._measured_at, SHARE * self._took_seconds
        has_shrunk = self._last_free - now.free_bytes >= self._step_bytes and passed_seconds >= pause_seconds / 10
        self._last_free = max(self._last_free, now.free_bytes)
        if not has_shrunk and passed_seconds < max(MEASURE_SECONDS, pause_seconds):
            return None
        self._last_free, began = now.free_bytes, time.monotonic()
        used = await asyncio.to_thread(self._disk_bytes)
        self._measured_at = time.monotonic()
        self._took_seconds = self._measured_at - began
        is_scarce = not now.has_disk_space and self._first_free - now.free_bytes > SMALL_BYTES
        if used > bound.disk_bytes:
            words = f"filled {used // 2**20} MiB of disk, its limit is {bound.disk_bytes // 2**20} MiB"
            return Excess(CheckEnd.DISK, words)
        if is_scarce and used > SMALL_BYTES:
            return Excess(CheckEnd.DISK, f"filled {used // 2**20} MiB of disk, which is almost full")
        return None

    def _disk_bytes(self) -> int:
        directory = self._bound.directory
        return disk.bytes_below(directory) + self._unit.unlinked_bytes(directory)


def bytes_of(memory_limit: str | None) -> int | None:
    """Return a Kubernetes quantity in bytes, rounded down; None means unlimited.

    >>> bytes_of("512Mi"), bytes_of("1G"), bytes_of("1.5Ki")
    (536870912, 1000000000, 1536)
    """
    return int(amount(memory_limit)) if memory_limit else None
