"""The objects that all versions and checks of a supervisor share."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from common.settings.sandbox import SandboxSettings
from workers.needs.caches import Caches
from workers.supervisor.checkout import Checkouts
from workers.supervisor.traffic.ports import Ports
from workers.supervisor.units.overload import Overload
from workers.supervisor.units.units import Processes

SETUPS_AT_ONCE = max(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class SharedResources:
    """directory: the supervisor's. watch_seconds: how often a live version's health is checked. disk_bytes: the most
    that the files of one checkout may have. sandbox: how programs of repositories are confined. setup_slots: limits how
    many versions are set up at once; checks have a limit of their own."""

    directory: Path
    overload: Overload
    processes: Processes
    checkouts: Checkouts
    caches: Caches
    ports: Ports
    watch_seconds: float
    disk_bytes: int
    sandbox: SandboxSettings
    setup_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SETUPS_AT_ONCE))
