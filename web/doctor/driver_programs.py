"""Whether the programs that agents work with are on this machine. One is enough: a missing one is no fault."""

from __future__ import annotations

from collections.abc import Iterator

from common.findings import Finding
from common.machine.program_search import find_program
from common.settings import Settings
from web.launcher.driver_install import drivers_folder, installable

PART = "drivers"


def examine_drivers(chosen: Settings) -> Iterator[Finding]:
    """One finding for each driver that has a program."""
    folder = drivers_folder(chosen)
    for known in installable():
        found = find_program(known.wanted, folder=folder)
        says = f"{known.name}: {found.says}"
        yield Finding("ok" if found.is_usable else "warn", PART, says)
