"""Whether a driver's program is on this machine, as a finding for the platform."""

from __future__ import annotations

import os
from pathlib import Path

from common.errors import Misconfigured
from common.settings.environment import Environment
from common.values.runs.drivers import find_driver, known_driver
from workers.runner.platform_client.driver_findings import DriverFinding


def drivers_folder() -> Path | None:
    """Where `aiworker drivers install` puts programs, as the launcher says; None: it does not say.

    Raises Misconfigured.
    """
    return Environment(os.environ).path("AIWORKER_AGENT_DRIVERS_DIR")


def check_program(name: str) -> DriverFinding:
    """Look for the program of a known driver that has one. Takes at most 10 s and never raises."""
    known = known_driver(name)
    assert known is not None
    try:
        found = find_driver(known, folder=drivers_folder())
    except Misconfigured as error:
        return DriverFinding(name, False, str(error))
    return DriverFinding(name, found.is_usable, found.says, found.version, found.path)
