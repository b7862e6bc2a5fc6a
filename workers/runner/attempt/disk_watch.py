"""Stops a run that fills the disk, before others of this machine can't write any more; and tells of one whose directory
somebody removed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import ProviderUnavailable
from common.machine.disk import bytes_below, measure_disk, unlinked_bytes
from workers.runner.platform_client.client import RunOver
from workers.runner.processes.cancellation import Cancelled
from workers.runner.processes.commands import pids_below

RUN_DISK_BYTES = 20 * 2**30
"""Most that one run may fill, unless AIWORKER_AGENT_RUN_DISK_BYTES says otherwise."""
LARGEST_KEPT_BYTES = 16 * 2**20
"""Of a run that was stopped, larger files are not kept."""
_PAUSE_SECONDS = 2.0
_PAUSES_PER_LOOK = 20
"""Looking takes at most so small a part of the time."""


@dataclass(frozen=True)
class DiskBounds:
    """run_bytes: most of one run. reserve_bytes: see common.machine.disk.measure_disk."""

    run_bytes: int = RUN_DISK_BYTES
    reserve_bytes: int | None = 0


@contextlib.contextmanager
def watched(directory: Path, bounds: DiskBounds, stop: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, call `stop` once, from another thread, with the reason, if the run in this directory fills
    more than it may: more than run_bytes, or what the machine's reserve lacks.
    """
    is_over = threading.Event()

    def watch() -> None:
        pause = _PAUSE_SECONDS
        while not is_over.wait(pause):
            began = time.monotonic()
            if reason := excess(directory, bounds):
                stop(reason)
                return
            pause = max(_PAUSE_SECONDS, _PAUSES_PER_LOOK * (time.monotonic() - began))

    thread = threading.Thread(target=watch, name="disk watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextlib.contextmanager
def require_directory(directory: Path) -> Iterator[None]:
    """Raise ProviderUnavailable for what fails in the block once the run's directory is gone, as after somebody cleaned
    up this machine: the task is not to blame.
    """
    try:
        yield
    except (Cancelled, RunOver):
        raise
    except Exception as error:
        if directory.exists():
            raise
        raise ProviderUnavailable(f"the run's directory was removed from this agent's machine: {directory}") from error


def excess(directory: Path, bounds: DiskBounds) -> str | None:
    """Why the run in this directory must be stopped; None: it may go on."""
    disk = measure_disk(directory, bounds.reserve_bytes)
    size = bytes_below(directory, bounds.run_bytes)
    if size <= bounds.run_bytes:
        size += unlinked_bytes(pids_below(directory), directory)
    if size > bounds.run_bytes:
        return f"The run was stopped: it filled more than {_shown(bounds.run_bytes)} of this machine's disk."
    # A run that is smaller than the reserve is not what fills the disk.
    if not disk.has_disk_space and size > disk.reserve_bytes:
        return f"The run was stopped: it filled {_shown(size)}, and this machine's disk is almost full."
    return None


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
