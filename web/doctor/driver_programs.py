"""Whether the programs that agents work with are on this machine. One is enough: a missing one alone is no fault."""

from __future__ import annotations

from collections.abc import Iterator

from common.errors import Misconfigured
from common.settings import Settings
from common.values.finding import Finding
from common.values.runs.drivers import find_driver
from web.launcher.driver_install import drivers_folder, installable

PART = "drivers"


def examine_drivers(chosen: Settings) -> Iterator[Finding]:
    """One finding for each driver that has a program; warnings only if none of them is usable."""
    try:
        folder = drivers_folder(chosen.store.data_dir)
    except Misconfigured as error:
        yield Finding("fail", PART, str(error))
        return
    found = {known.name: find_driver(known, folder=folder) for known in installable()}
    status = "ok" if any(one.is_usable for one in found.values()) else "warn"
    for name, one in found.items():
        yield Finding("ok" if one.is_usable else status, PART, f"{name}: {one.says}")
