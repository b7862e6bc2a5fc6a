"""Whether this worker's disk has room for new work. Logs each change of the disk's state once, not at every check."""

from __future__ import annotations

import structlog

from common.machine.disk import DiskState, measure_disk
from common.settings import settings

log = structlog.get_logger()


class _Logged:
    """The state that was logged last."""

    state = DiskState.OK


def has_disk_space() -> bool:
    """Whether the data directory's disk has AIWORKER_DISK_RESERVE_BYTES free."""
    store = settings().store
    found = measure_disk(store.data_dir, store.disk_reserve_bytes)
    if found.state is not _Logged.state:
        write = log.info if found.state is DiskState.OK else log.warning
        consequence = "new work begins" if found.has_disk_space else "no new work begins until there is room"
        write("disk", state=found.state, free_bytes=found.free_bytes, needed_bytes=found.reserve_bytes, so=consequence)
        _Logged.state = found.state
    return found.has_disk_space
