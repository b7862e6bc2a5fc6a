"""The clockwork, wound by beat: rings what is due, notices who is gone, throws away what is old.

A sweep does nothing that a job should do; it only tells jobs to look.
"""

from __future__ import annotations

from common.services import jobs, sweeping
from common.services.access import acting
from common.services.runs import agents
from workers.job import celery


def sweep() -> None:
    """Every 5 s: every due job is rung again."""
    jobs.sweep_jobs()


def sweep_agents() -> None:
    """Every 5 s: silent agents and their runs; waiting tasks and what should run are looked at."""
    with acting("platform"):
        agents.expire_agents()
        sweeping.enqueue_periodic_jobs()


def sweep_slowly() -> None:
    """Every 30 s: previews past their time, pushes that nobody told of, rows that are old."""
    with acting("platform"):
        sweeping.sweep_old()


for _task in (sweep, sweep_agents, sweep_slowly):
    celery.task(_task, name=_task.__name__)
