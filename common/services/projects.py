"""Projects: made, changed, shared and removed. What they need outside is made true by jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from common import jobs
from common.errors import Conflict, Invalid, NotFound
from common.events import ProjectStatusChanged
from common.models.account import User
from common.models.journal import Job
from common.models.project import Project, ProjectMember
from common.models.run import Run
from common.names import namespace, new_id, numbered, slug
from common.sealing import seal, unseal
from common.services.access import Caller, sees_project
from common.services.paging import Page, PageQuery, page_of
from common.services.places import Place, place_of
from common.settings import settings
from common.states import By, ProjectState, Role
from common.transaction import Snapshot, Transaction, actor, snapshot, transactional

DEFAULT_HEALTH_SECONDS = {"preview": 0, "staging": 10, "production": 30}

DEFAULT_FORBIDDEN_PATHS = [".git/**", ".gitea/**", ".github/workflows/**", ".forgejo/**"]
"""What an agent may not change unless the project says otherwise: what would run outside of its sandbox."""


@dataclass(frozen=True)
class ProjectView:
    """A project as one caller may see it: env_vars are shown to its maintainers only."""

    project: Project
    shows_env: bool


@dataclass(frozen=True)
class Member:
    user_id: str
    username: str
    role: Role


@dataclass(frozen=True)
class FoundRepository:
    """may_push: any branch but the platform's own; a run's credential is good for its own branch alone."""

    place: Place
    may_push: bool


@transactional
def create_project(tx: Transaction, values: Mapping[str, Any], *, by: Caller) -> ProjectView:
    """A new project, being provisioned. Conflict (field `name`) if the name is taken.

    values: the schema's fields by their attribute names; secret_env_vars is stored sealed.
    """
    by.require(Role.MAINTAINER)
    if tx.find(select(Project).where(Project.name == values["name"])) is not None:
        raise Conflict(f"There is a project named {values['name']} already", field="name")
    project_id = new_id()
    project_slug = _free_slug(tx, slug(values["name"]))
    owner = settings().forge.owner
    base = settings().forge.gitea_url or f"{settings().web.public_url}/git"
    project = Project(
        id=project_id,
        state_=ProjectState.PROVISIONING,
        slug=project_slug,
        namespace=namespace(project_slug, project_id),
        repository_owner=owner,
        repository_url=f"{base.rstrip('/')}/{owner}/{project_slug}",
        created_by=actor(),
        created_at=tx.now(),
        secret_env_names=[],
        **_defaults(),
    )
    _apply(project, values)
    try:
        tx.add(project)
    except IntegrityError as error:
        raise Conflict(f"There is a project named {values['name']} already", field="name") from error
    tx.record(_status_changed(project, None))
    tx.enqueue(jobs.PROVISION_PROJECT, project.id, project_id=project.id)
    return ProjectView(project, shows_env=True)


def list_projects(page: PageQuery, *, by: Caller) -> tuple[Page[Project], set[str]]:
    """A page of the projects they see, and the ids of those whose env_vars they may see."""
    with snapshot() as read:
        found = page_of(read, select(Project).where(sees_project(by)), Project.created_at, Project.id, page)
        return found, {project.id for project in found.items if _manages(read, project, by)}


def read_project(project_id: str, *, by: Caller) -> ProjectView:
    with snapshot() as read:
        project = by.require_in(read, project_id, Role.VIEWER)
        return ProjectView(project, _manages(read, project, by))


@transactional
def update_project(tx: Transaction, project_id: str, values: Mapping[str, Any], *, by: Caller) -> ProjectView:
    """Change what the values name. What runs changes with the next deployment."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    if project.state is ProjectState.DELETING:
        raise Conflict(f"project {project_id} is deleting")
    name = values.get("name", project.name)
    if name != project.name and tx.find(select(Project).where(Project.name == name)) is not None:
        raise Conflict(f"There is a project named {name} already", field="name")
    was_restricted = project.is_restricted
    _apply(project, values)
    if project.is_restricted != was_restricted:
        # Previews that run are guarded from now on, or not any more.
        tx.enqueue(jobs.RESTORE_RUNTIME, "platform", project_id=None)
    tx.record(_status_changed(project, project.state_))
    return ProjectView(project, shows_env=True)


@transactional
def delete_project(tx: Transaction, project_id: str, *, by: Caller) -> tuple[Project, Job]:
    """The project and everything of it will be gone. Repeating gives the same job until it is."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    if project.state is not ProjectState.DELETING:
        tx.record(project.move_to(ProjectState.DELETING, By.PERSON))
        job_id = tx.enqueue(jobs.DELETE_PROJECT, project.id, project_id=project.id)
        return project, tx.get(Job, job_id)
    job = tx.find(
        select(Job)
        .where(Job.kind == jobs.DELETE_PROJECT.name, Job.subject_id == project.id)
        .order_by(Job.created_at.desc(), Job.id.desc())
    )
    if job is None:
        job = tx.get(Job, tx.enqueue(jobs.DELETE_PROJECT, project.id, project_id=project.id))
    return project, job


@transactional
def retry_project(tx: Transaction, project_id: str, *, by: Caller) -> ProjectView:
    """A failed provisioning starts again."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    tx.record(project.move_to(ProjectState.PROVISIONING, By.PERSON))
    project.error = None
    tx.enqueue(jobs.PROVISION_PROJECT, project.id, project_id=project.id)
    return ProjectView(project, shows_env=True)


def list_members(project_id: str, *, by: Caller) -> list[Member]:
    with snapshot() as read:
        by.require_in(read, project_id, Role.VIEWER)
        rows = read.session.execute(
            select(ProjectMember.user_id, User.username, ProjectMember.role)
            .join(User, User.id == ProjectMember.user_id)
            .where(ProjectMember.project_id == project_id)
            .order_by(User.username)
        )
        return [Member(user_id, username, Role(role)) for user_id, username, role in rows]


@transactional
def put_member(tx: Transaction, project_id: str, user_id: str, role: Role, *, by: Caller) -> Member:
    """The user is a member with this role. Safe to repeat."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    user = tx.get(User, user_id)
    if role > Role.MAINTAINER:
        raise Invalid("role", "Must be one of viewer, member, maintainer")
    row = tx.session.get(ProjectMember, (project_id, user_id))
    if row is None:
        tx.add(ProjectMember(project_id=project_id, user_id=user_id, role=role))
    else:
        row.role = role
    tx.access_changed(user_id)
    return Member(user_id, user.username, role)


@transactional
def delete_member(tx: Transaction, project_id: str, user_id: str, *, by: Caller) -> None:
    """The user is no member. NotFound if they were none."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    row = tx.session.get(ProjectMember, (project_id, user_id))
    if row is None:
        raise NotFound(f"member {user_id}")
    tx.session.delete(row)
    tx.access_changed(user_id)


def find_repository(owner: str, name: str, *, by: Caller) -> FoundRepository:
    """The repository at `owner/name`. NotFound where its project does not exist for them."""
    with snapshot() as read:
        project = _project_at(read, owner, name)
        role = None if project is None else by.role_in(read, project)
        if project is None or role is None:
            raise NotFound(f"repository {owner}/{name}")
        return FoundRepository(place_of(project), may_push=role >= Role.MAINTAINER)


def find_repository_of_run(owner: str, name: str, run_id: str) -> FoundRepository | None:
    """The repository at `owner/name` if this live run works on it, None otherwise."""
    with snapshot() as read:
        project = _project_at(read, owner, name)
        run = read.get(Run, run_id)
        if project is None or run is None or run.project_id != project.id or run.live_task_id is None:
            return None
        return FoundRepository(place_of(project), may_push=True)


def _project_at(read: Snapshot, owner: str, name: str) -> Project | None:
    return read.find(select(Project).where(Project.slug == name, Project.repository_owner == owner))


def environment_of(project: Project) -> dict[str, str]:
    """All variables of what runs, secret ones included."""
    secret = unseal(project.secret_env_sealed) if project.secret_env_sealed else {}
    return {**project.env_vars, **secret}


def _defaults() -> dict[str, Any]:
    return {
        "description": "", "default_branch": "main", "env_vars": {}, "replicas": 1, "health_path": "/",
        "health_seconds": dict(DEFAULT_HEALTH_SECONDS), "preview_ttl_hours": 72, "is_restricted": False,
        "separate_approver": False, "keep_tests": True, "forbidden_paths": list(DEFAULT_FORBIDDEN_PATHS), "limits": {},
        "agent_instructions": "",
    }  # fmt: skip


def _apply(project: Project, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name == "secret_env_vars":
            project.secret_env_sealed = seal(value) if value else None
            project.secret_env_names = sorted(value or {})
        elif name == "health_seconds":
            project.health_seconds = {**(project.health_seconds or DEFAULT_HEALTH_SECONDS), **value}
        else:
            setattr(project, name, value)
    both = sorted(set(project.env_vars) & set(project.secret_env_names))
    if both:
        raise Invalid(f"secretEnvVars.{both[0]}", "Is in envVars too")


def _free_slug(tx: Transaction, wanted: str) -> str:
    number = 1
    while tx.find(select(Project).where(Project.slug == numbered(wanted, number))) is not None:
        number += 1
    return numbered(wanted, number)


def _manages(at: Snapshot, project: Project, by: Caller) -> bool:
    role = by.role_in(at, project)
    return role is not None and role >= Role.MAINTAINER


def _status_changed(project: Project, old: str | None) -> ProjectStatusChanged:
    return ProjectStatusChanged(feed=project.id, project_id=project.id, old_status=old, new_status=project.state_)
