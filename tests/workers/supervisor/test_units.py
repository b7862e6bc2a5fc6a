"""Units: commands that the supervisor starts and ends with all their descendants."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.machine.process_trees import environment_of, find_processes
from workers.sandbox.sandboxes import Sandboxes
from workers.supervisor.logs import Tail
from workers.supervisor.unit_records import MARK_VARIABLE, kill_recorded
from workers.supervisor.units import Processes, Unit

FIRST_RECORD_BYTES = len("[null, null, null]")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a unit's first record: that a full disk has no room for the second, longer one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FIRST_RECORD_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path / "units", Sandboxes(tmp_path / "sandboxes"))
    yield made
    kill_recorded(made.directory)


async def started(processes: Processes) -> Unit:
    with full_disk():
        return await processes.start(
            ["sleep", "600"], cwd=Path("/"), env={"PATH": os.environ["PATH"]}, sink=Tail(), walls=None
        )


def pids_of(processes: Processes) -> list[int]:
    """What runs of all units that it started."""
    epoch = processes.directory.name
    return [one.pid for one in find_processes(lambda one: environment_of(one).get(MARK_VARIABLE, "").startswith(epoch))]


def test_a_unit_that_the_disk_had_no_room_to_record_is_killed_with_the_supervisor(processes: Processes) -> None:
    async def start() -> None:
        await started(processes)
        assert len(pids_of(processes)) == 1
        await asyncio.to_thread(kill_recorded, processes.directory)

    asyncio.run(start())

    assert pids_of(processes) == []
