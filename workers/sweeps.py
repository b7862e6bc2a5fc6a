"""The periodic tasks, started by Celery beat: send due jobs, detect lost agents, remove old rows.

A sweep does no work of a job itself; it only wakes the jobs.
"""

from __future__ import annotations

from common.services import jobs, sweeping
from common.services.access import acting
from common.services.outgoing import collecting
from common.services.runs import agents
from common.services.tasks import parked
from workers.job import celery


def sweep() -> None:
    """Every 5 s: send every due job to the broker again, and soon those whose lease is about to end."""
    jobs.sweep_jobs()


def sweep_agents() -> None:
    """Every 5 s: expire silent agents and their runs; let parked tasks go on whose time has come or whose cap leaves
    room; wake the jobs that schedule tasks and restore the runtime; collect what the outgoing webhook tells of.
    """
    with acting("platform"):
        agents.expire_agents()
        parked.resume_due()
        parked.resume_within_caps()
        sweeping.enqueue_periodic_jobs()
        # Last: whatever is wrong with it keeps nothing else from its time.
        collecting.collect_notices()


def sweep_slowly() -> None:
    """Every 30 s: take down expired previews, look for pushes without a webhook, remove old rows."""
    with acting("platform"):
        sweeping.sweep_old()


for _task in (sweep, sweep_agents, sweep_slowly):
    celery.task(_task, name=_task.__name__)
