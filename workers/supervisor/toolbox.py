"""The objects that all versions and checks of a supervisor share."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from workers.needs.caches import Caches
from workers.supervisor.checkout import Checkouts
from workers.supervisor.overload import Overload
from workers.supervisor.ports import Ports
from workers.supervisor.units import Processes

SETUPS_AT_ONCE = max(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class Tools:
    """directory: the supervisor's. watch_seconds: how often a live version's health is checked. setup_turn: limits how
    many versions are set up at once; checks have a limit of their own."""

    directory: Path
    overload: Overload
    processes: Processes
    checkouts: Checkouts
    caches: Caches
    ports: Ports
    watch_seconds: float
    setup_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SETUPS_AT_ONCE))
