"""Who may read and push the repository of a project."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from common.errors import NotFound
from common.models.delivery import Deployment
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task
from common.services.project_settings.project_resources import location_of
from common.services.requests.access import Caller
from common.transaction import Snapshot, snapshot
from common.values.delivery.project_location import ProjectLocation
from common.values.states import Environment, Role, TaskState


@dataclass(frozen=True)
class FoundRepository:
    """A repository and what the caller may push. may_push: any branch except the platform's and the default branch;
    a run may push its own branch only.

    only_branches: the branches that a person may push who may push no others; None: any.
    may_push_default: also fast-forwards of the default branch. may_import: the first push to the default branch, while
    that holds only the platform's initial commit.
    """

    location: ProjectLocation
    may_push: bool
    may_push_default: bool = False
    may_import: bool = False
    only_branches: tuple[str, ...] | None = None


def find_repository(owner: str, name: str, *, by: Caller) -> FoundRepository:
    """The repository `owner/name`. NotFound if the caller may not see its project."""
    with snapshot() as read:
        project = _project_at(read, owner, name)
        role = None if project is None else by.role_in(read, project)
        if project is None or role is None:
            raise NotFound(f"repository {owner}/{name}")
        may_push = role >= Role.MAINTAINER
        if role == Role.MEMBER and (held := _held_branches(read, project, by)):
            return FoundRepository(location_of(project), may_push=True, only_branches=held)
        return FoundRepository(
            location_of(project), may_push, may_push and project.allow_direct_push, may_push and _is_new(read, project)
        )


def _held_branches(read: Snapshot, project: Project, by: Caller) -> tuple[str, ...]:
    """The branches of the project's tasks that the caller works on by hand."""
    held = select(Task.branch_name).where(
        Task.project_id == project.id, Task.state_ == TaskState.IN_PROGRESS, Task.held_by_id == by.user_id
    )
    return tuple(read.session.scalars(held.order_by(Task.branch_name)))


def _is_new(read: Snapshot, project: Project) -> bool:
    """Whether nothing was imported into the project or deployed from it; previews are not counted."""
    deployed = select(Deployment).where(
        Deployment.project_id == project.id, Deployment.environment_ != Environment.PREVIEW
    )
    return project.import_url is None and read.find(deployed) is None


def find_repository_of_run(owner: str, name: str, run_id: str) -> FoundRepository | None:
    """The repository `owner/name` if this run is live and works on it, else None. A review may not push."""
    with snapshot() as read:
        project = _project_at(read, owner, name)
        run = read.get(Run, run_id)
        if project is None or run is None or run.project_id != project.id or run.live_task_id is None:
            return None
        return FoundRepository(location_of(project), may_push=not run.is_review)


def _project_at(read: Snapshot, owner: str, name: str) -> Project | None:
    return read.find(select(Project).where(Project.slug == name, Project.repository_owner == owner))
