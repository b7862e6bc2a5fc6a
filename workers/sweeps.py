"""The periodic tasks, started by Celery beat: send due jobs, detect lost agents, remove old rows.

A sweep does no work of a job itself; it only wakes the jobs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from common.errors import Busy, DatabaseAway
from common.services import sweeping
from common.services.activity import jobs
from common.services.agents import agents
from common.services.outgoing_webhook import collecting
from common.services.requests.access import acting
from common.services.tasks import parking
from workers.execution.job_run import celery, log


def sweep() -> None:
    """Every 5 s: send every due job to the broker again, and soon those whose lease is about to end."""
    jobs.sweep_jobs()


def sweep_agents() -> None:
    """Every 5 s: expire silent agents and their runs; let parked tasks go on whose time has come or whose cap leaves
    room; wake the jobs that schedule tasks and restore the runtime; collect what the outgoing webhook tells of.
    """
    with acting("platform"):
        agents.expire_agents()
        parking.resume_due()
        parking.resume_within_caps()
        sweeping.enqueue_periodic_jobs()
        # Last: whatever is wrong with it keeps nothing else from its time.
        collecting.collect_notices()


def sweep_slowly() -> None:
    """Every 30 s: take down expired previews, look for pushes without a webhook, remove old rows."""
    with acting("platform"):
        sweeping.sweep_old()


class Outage:
    """Whether this process found the database away, so that it says so once and not with each sweep."""

    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self, reason: str) -> None:
        if self._since is None:
            self._since = time.monotonic()
            log.warning("no sweep is done until the database answers again", reason=reason)

    def end(self) -> None:
        if self._since is not None:
            log.warning("sweeps are done again", seconds=round(time.monotonic() - self._since))
            self._since = None


def _patient(sweep: Callable[[], None], outage: Outage) -> Callable[[], None]:
    """The sweep, without an error while the database does not answer: that is no bug, and the next sweep is soon."""

    @functools.wraps(sweep)
    def run() -> None:
        try:
            sweep()
        except DatabaseAway as error:
            outage.begin(str(error))
        except Busy as error:
            log.warning("a sweep could not be done", sweep=sweep.__name__, reason=str(error))
        else:
            outage.end()

    return run


_outage = Outage()
for _task in (sweep, sweep_agents, sweep_slowly):
    celery.task(_patient(_task, _outage), name=_task.__name__)
