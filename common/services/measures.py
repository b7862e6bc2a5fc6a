"""How much there is of what, for whoever watches the platform: counts over all projects, and what is late."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import func, select

from common.jobs import CATALOGUE
from common.models import Deployment, Job, Project, Task, TaskGroup
from common.models.agent import Agent
from common.models.run import Run
from common.services.health import sweep_age_seconds
from common.states import ACTIVE_DEPLOYMENT, JobState
from common.transaction import Snapshot, snapshot


@dataclass(frozen=True)
class Measures:
    """Counts by state. jobs: by queue and state, those that are done left out. deployments: active ones by environment.

    late_seconds: for how long the oldest job that is due has waited, 0 if none is. sweep_seconds: how long ago the
    clockwork ticked, None if it never has.
    """

    projects: dict[str, int]
    tasks: dict[str, int]
    runs: dict[str, int]
    agents: dict[str, int]
    groups: dict[str, int]
    deployments: dict[str, int]
    jobs: dict[tuple[str, str], int]
    late_seconds: float
    sweep_seconds: float | None


def measure() -> Measures:
    """Everything as it is now. A read of a few counts; raises Busy where the database does not answer."""
    swept = sweep_age_seconds()
    with snapshot() as read:
        due = select(func.min(Job.next_at)).where(Job.state == JobState.QUEUED)
        oldest = read.session.execute(due).scalar()
        late = 0.0 if oldest is None else max(0.0, (read.now() - oldest).total_seconds())
        return Measures(
            projects=_count(read, Project.state_),
            tasks=_count(read, Task.state_),
            runs=_count(read, Run.state_, Run.live_task_id.is_not(None)),
            agents=_count(read, Agent.state_),
            groups=_count(read, TaskGroup.state_),
            deployments=_count(read, Deployment.environment_, Deployment.state_.in_(ACTIVE_DEPLOYMENT)),
            jobs=_jobs(read),
            late_seconds=late,
            sweep_seconds=swept,
        )


def _count(read: Snapshot, by: object, *where: object) -> dict[str, int]:
    query = select(by, func.count()).where(*where).group_by(by)  # type: ignore[call-overload]
    return {str(state): number for state, number in read.session.execute(query)}


def _jobs(read: Snapshot) -> dict[tuple[str, str], int]:
    query = select(Job.kind, Job.state, func.count()).where(Job.state != JobState.DONE).group_by(Job.kind, Job.state)
    found: Counter[tuple[str, str]] = Counter()
    for kind, state, number in read.session.execute(query):
        queue = CATALOGUE[kind].queue.value if kind in CATALOGUE else "unknown"
        found[(queue, str(state))] += number
    return dict(found)
