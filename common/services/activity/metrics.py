"""Metrics for monitoring: counts over the projects that a caller may see, and how late jobs are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from common.jobs.catalogue import CATALOGUE, Queue
from common.models import Deployment, Job, Project, Task, TaskGroup
from common.models.agent import Agent
from common.models.run import Run
from common.services.requests.access import Caller, visible_projects
from common.services.upkeep.sweep_age import sweep_age_seconds
from common.transaction import Snapshot, snapshot
from common.values.states import ACTIVE_DEPLOYMENT, JobState


@dataclass(frozen=True)
class Measures:
    """Counts by state. runs: live ones only. jobs: by queue and state, without done ones; failed ones of each
    queue, also if there are none. deployments: pending and in-progress ones, by environment.

    late_seconds: how long the oldest due job has waited; 0 if none is due. sweep_seconds: the time since the last
    sweep; None if there was none yet.
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


def measure(by: Caller | None) -> Measures:
    """Count what this caller may see; by None: everything. Raises Busy if the database does not answer.

    Rows that belong to no project, such as the platform's jobs, are counted for administrators and for None.
    """
    swept = sweep_age_seconds()
    with snapshot() as read:
        seen = VisibleProjects(None if by is None or by.is_admin else read.session.scalars(visible_projects(by)).all())
        due = select(func.min(Job.next_at)).where(Job.state_ == JobState.QUEUED)
        oldest = read.session.execute(due).scalar()
        late = 0.0 if oldest is None else max(0.0, (read.now() - oldest).total_seconds())
        return Measures(
            projects=_count(read, Project.state_, *seen.where(Project.id)),
            tasks=_count(read, Task.state_, *seen.where(Task.project_id)),
            runs=_count_few(read, Run.state_, Run.live_task_id > "", *seen.where(Run.project_id)),
            agents=_count(read, Agent.state_),
            groups=_count(read, TaskGroup.state_, *seen.where(TaskGroup.project_id)),
            deployments=_count_few(
                read,
                Deployment.environment_,
                Deployment.state_.in_(ACTIVE_DEPLOYMENT),
                *seen.where(Deployment.project_id),
            ),
            jobs=_jobs(read, seen),
            late_seconds=late,
            sweep_seconds=swept,
        )


@dataclass(frozen=True)
class VisibleProjects:
    """The projects that a caller may see; None: every project."""

    project_ids: Sequence[str] | None

    def where(
        self, project_id: InstrumentedAttribute[str] | InstrumentedAttribute[str | None]
    ) -> tuple[ColumnElement[bool], ...]:
        """The query conditions on a column with project ids; none for callers who see every project."""
        return () if self.project_ids is None else (project_id.in_(self.project_ids),)


def _count(read: Snapshot, by: object, *where: object) -> dict[str, int]:
    query = select(by, func.count()).where(*where).group_by(by)  # type: ignore[call-overload]
    return {str(state): number for state, number in read.session.execute(query)}


def _count_few(read: Snapshot, by: InstrumentedAttribute[str], *where: ColumnElement[bool]) -> dict[str, int]:
    """The same for conditions that few rows meet: grouping in the query would make SQLite read all in its order."""
    return dict(Counter(str(state) for state in read.session.scalars(select(by).where(*where))))


def _jobs(read: Snapshot, seen: VisibleProjects) -> dict[tuple[str, str], int]:
    """Done jobs, which are most, are not read. Zero failed ones are reported, so that the first failure is a rise."""
    found = Counter({(queue.value, str(JobState.FAILED)): 0 for queue in Queue})
    states = [state for state in JobState if state is not JobState.DONE]
    query = select(Job.kind, Job.state_).where(Job.state_.in_(states), *seen.where(Job.project_id))
    found.update(
        (CATALOGUE[kind].queue.value if kind in CATALOGUE else "unknown", str(state))
        for kind, state in read.session.execute(query)
    )
    return dict(found)
