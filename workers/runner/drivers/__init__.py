"""The drivers by name: those that need no program; those of coding CLIs are in programs.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from common.errors import Misconfigured
from workers.runner.drivers.protocol import Driver
from workers.runner.drivers.scripted import ScriptedDriver

DRIVERS: Mapping[str, Callable[[], Driver]] = {"scripted": ScriptedDriver}
"""The drivers that need no program."""
AUTO = "auto"
"""In place of names: every driver that can work."""


def driver_named(name: str) -> Driver:
    """Return a new driver that needs no program. Raises Misconfigured for an unknown name."""
    (known,) = known_names([name], DRIVERS)
    return DRIVERS[known]()


def known_names(names: Sequence[str], known: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names. Raises Misconfigured, with a list of the known ones, for an unknown name."""
    for name in names:
        if name not in known:
            raise Misconfigured(f"there is no driver {name!r}; choose one of: {', '.join(sorted(known))}")
    return tuple(names)
