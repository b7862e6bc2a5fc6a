"""The available drivers, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from common.errors import Misconfigured
from workers.runner.drivers.protocol import Driver
from workers.runner.drivers.scripted import ScriptedDriver

DRIVERS: Mapping[str, Callable[[], Driver]] = {"scripted": ScriptedDriver}


def driver_named(name: str) -> Driver:
    """Return a new driver of that name. Raises Misconfigured, with a list of the drivers, for an unknown name."""
    try:
        make = DRIVERS[name]
    except KeyError as error:
        raise Misconfigured(f"there is no driver {name!r}; choose one of: {', '.join(sorted(DRIVERS))}") from error
    return make()
