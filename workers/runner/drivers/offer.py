"""What this agent can work with: the drivers that it is set up for, and what it found out about each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from common.errors import ProviderUnavailable
from workers.runner.drivers import AUTO, DRIVERS, known_names
from workers.runner.drivers.program import ProgramDriver
from workers.runner.drivers.programs import PROGRAM_DRIVERS
from workers.runner.platform_client.client import DriverReport
from workers.runner.platform_client.driver_findings import DriverFinding

logger = logging.getLogger("workers.runner")

_AT_ONCE = 3


@dataclass(frozen=True)
class ReadyProgram:
    """A coding CLI that can work, as `check` found it."""

    driver: ProgramDriver
    finding: DriverFinding


class DriverOffer:
    """The agent's drivers. For several threads.

    wanted: names, the preferred one first; empty: every driver that can work, the scripted one last. Raises
    Misconfigured for an unknown name. sandbox: what `report` says of it.
    """

    def __init__(
        self,
        wanted: Sequence[str] = (),
        *,
        programs: Mapping[str, ProgramDriver] | None = None,
        sandbox: tuple[bool, str] | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._programs = (
            {name: make() for name, make in PROGRAM_DRIVERS.items()} if programs is None else dict(programs)
        )
        known = [*self._programs, *DRIVERS]
        self._wanted = known_names(tuple(wanted) or known, dict.fromkeys(known))
        self._lock = threading.Lock()
        self._findings = {name: DriverFinding(name, False, "It was not looked for yet.") for name in self._programs}
        self._findings |= {name: DriverFinding(name, True, "It needs no program.") for name in DRIVERS}

    def check(self) -> None:
        """Look for every program again. Takes some seconds."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="driver check") as pool:
            found = list(pool.map(_checked, self._programs.items()))
        with self._lock:
            self._findings |= {finding.name: finding for finding in found}

    @property
    def report(self) -> DriverReport:
        with self._lock:
            usable = tuple(name for name in self._wanted if self._findings[name].can_work)
            return DriverReport(usable, tuple(self._findings.values()), self._sandbox)

    @property
    def first(self) -> str:
        """The name of the driver that works if nobody chose another: the first that can."""
        return next(iter(self.report.usable), self._wanted[0])

    @property
    def error(self) -> str | None:
        """Why this agent can't work: no driver can. None: it can."""
        with self._lock:
            wanted = [self._findings[name] for name in self._wanted]
        if any(finding.can_work for finding in wanted):
            return None
        return "No driver can work. " + " ".join(f"{finding.name}: {finding.says}" for finding in wanted)

    def ready(self, name: str) -> ReadyProgram | None:
        """Return the program of this driver; None for a driver that needs no program.

        Raises ProviderUnavailable if it can't work here, Misconfigured if there is no such driver.
        """
        known_names([name], dict.fromkeys([*self._programs, *DRIVERS]))
        if name in DRIVERS:
            return None
        with self._lock:
            finding = self._findings[name]
        if not finding.can_work:
            raise ProviderUnavailable(f"this agent can't work with {name}: {finding.says}")
        return ReadyProgram(self._programs[name], finding)


def wanted_names(text: str) -> tuple[str, ...]:
    """Read `--driver`: comma-separated names, the preferred one first; `auto` or nothing: all that can work."""
    names: Iterable[str] = (name.strip() for name in text.split(","))
    listed = tuple(dict.fromkeys(name for name in names if name))
    return () if listed in {(), (AUTO,)} else listed


def _checked(named: tuple[str, ProgramDriver]) -> DriverFinding:
    name, driver = named
    try:
        return driver.check()
    except Exception as error:
        # A driver's bug must not end the agent, which may have others.
        logger.exception("driver's check failed by a bug", extra={"driver": name})
        return DriverFinding(name, False, f"Its check failed: {type(error).__name__}: {error}")
