"""How many tasks wait for nothing but an agent, for monitoring."""

from __future__ import annotations

from sqlalchemy import func, select

from common.database.compiled_statements import AnySelect
from common.models.project import Project
from common.models.task import Task
from common.services.agents.waiting_tasks import claimable, closed_projects, reviews_without_agent, under_way
from common.services.caps.caps import OBSTACLE
from common.services.requests.access import Caller, visible_projects
from common.transaction import Snapshot, snapshot

MOST = 1000
"""Most tasks of one kind that are counted: a scrape is not to read a long backlog, and what matters is if any wait."""


def count_ready_tasks(by: Caller | None) -> int:
    """Count the tasks that an agent could begin or review now, in the projects that the caller may see; None: in all.

    Not counted: tasks that wait for files, for other tasks or for a cap of spending, or whose project is not active, is
    held, or has as many tasks under way as it may. Raises Busy if the database does not answer.
    """
    with snapshot() as read:
        # By the projects where work may begin: the backlog of the others may be long.
        projects = set(read.session.scalars(select(Project.id))) - {*closed_projects(read)}
        queued, backlog = claimable()
        is_stopped = func.coalesce(Task.error, "").startswith(OBSTACLE, autoescape=True)
        queries = (
            queued.where(Task.project_id.in_(projects), ~is_stopped),
            backlog.where(Task.project_id.in_(projects - {*_full_projects(read)}), ~is_stopped),
            reviews_without_agent(),
        )
        seen = () if by is None or by.is_admin else (Task.project_id.in_(visible_projects(by)),)
        return sum(_count(read, query.where(*seen)) for query in queries)


def _count(read: Snapshot, query: AnySelect) -> int:
    found = query.with_only_columns(Task.id).order_by(None).limit(MOST).subquery()
    return int(read.session.scalars(select(func.count()).select_from(found)).one())


def _full_projects(read: Snapshot) -> list[str]:
    """Projects of which no task in the backlog may start now, as maxParallelTasks are under way."""
    query = select(Project.id, Project.max_parallel_tasks).where(Project.max_parallel_tasks.is_not(None))
    limits: dict[str, int] = dict(read.session.execute(query).all())  # type: ignore[arg-type]
    busy = under_way(read, limits)
    return [project_id for project_id, most in limits.items() if busy[project_id] >= most]
