"""The drivers there are, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from common.errors import Misconfigured
from workers.runner.drivers.protocol import Driver
from workers.runner.drivers.scripted import ScriptedDriver

DRIVERS: Mapping[str, Callable[[], Driver]] = {"scripted": ScriptedDriver}


def driver_named(name: str) -> Driver:
    """A new driver of that name. Raises Misconfigured naming those there are."""
    try:
        make = DRIVERS[name]
    except KeyError as error:
        raise Misconfigured(f"there is no driver {name!r}; there are: {', '.join(sorted(DRIVERS))}") from error
    return make()
