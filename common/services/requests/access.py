"""Access control: what a caller may see and do. Objects that a caller may not see do not exist for them (404).

A caller's role is the lowest of the user's role, the token's role, and, in a restricted project, the membership's role.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Select, or_, select, true

from common.errors import Forbidden, NotFound
from common.jobs.outbox import acting
from common.models.account import User
from common.models.project import Project, ProjectMember
from common.transaction import Snapshot, Transaction
from common.values.states import Role

__all__ = [
    "Caller",
    "Grants",
    "RoleInProject",
    "acting",
    "hidden_projects",
    "holds_role",
    "projects_seen",
    "recording_grants",
    "roles_in",
    "sees_project",
    "visible_projects",
]  # fmt: skip

Grants = dict[str, int]
"""The access checks that a caller passed: project id → the highest role that was required. The key "": outside of
projects.
"""

_noted: contextvars.ContextVar[Grants | None] = contextvars.ContextVar("grants", default=None)


@contextlib.contextmanager
def recording_grants() -> Iterator[Grants]:
    """Collect every check that a caller passes inside, so that the same checks can be made again later."""
    grants: Grants = {}
    token = _noted.set(grants)
    try:
        yield grants
    finally:
        _noted.reset(token)


def _note(project_id: str, role: Role) -> None:
    grants = _noted.get()
    if grants is not None:
        grants[project_id] = max(role, grants.get(project_id, 0))


@dataclass(frozen=True)
class RoleInProject:
    """What a caller is in a project, read in the same statement as the caller.

    role: None: they may not see it, or there is none. version: differs from that of every earlier state of the
    project's tasks; None: there is no project, or nothing has happened in it.
    """

    project_id: str
    role: Role | None
    version: str | None


@dataclass(frozen=True)
class Caller:
    """A person who calls the API. role: limited by the token. token_id: the API token or login that was used.

    role_in_project: in the project that the request names; None: it names none, or its view does not ask for it.
    """

    user_id: str
    username: str
    role: Role
    token_id: str = ""
    role_in_project: RoleInProject | None = field(default=None, compare=False)

    @property
    def is_admin(self) -> bool:
        return self.role >= Role.ADMIN

    @property
    def name(self) -> str:
        """The name under which events record the caller."""
        return self.username

    def require(self, role: Role) -> None:
        """Raise Forbidden if the caller's role is lower than this."""
        if self.role < role:
            raise Forbidden(f"the role {role.label} is required")
        _note("", role)

    def role_by(self, *, is_restricted: bool, member_role: int | None) -> Role | None:
        """As role_in, by columns: of the project, and of the caller's membership; None: there is none."""
        if self.is_admin or not is_restricted:
            return self.role
        return None if member_role is None else min(self.role, Role(member_role))

    def role_in(self, at: Snapshot | Transaction, project: Project) -> Role | None:
        """The caller's role in a project; None if they may not see it."""
        if self.is_admin or not project.is_restricted:
            return self.role
        row = at.session.get(ProjectMember, (project.id, self.user_id))
        return None if row is None else min(self.role, Role(row.role))

    def may_see(self, at: Snapshot | Transaction, project_id: str | None) -> bool:
        """Whether the caller may see a project. project_id: None, for no project: only administrators."""
        if project_id is None:
            return self.is_admin
        project = at.session.get(Project, project_id)
        return project is not None and self.role_in(at, project) is not None

    def require_in(self, at: Snapshot | Transaction, project_id: str | None, role: Role) -> Project:
        """The project. NotFound if the caller may not see it, Forbidden below the role."""
        project = None if project_id is None else at.session.get(Project, project_id)
        held = None if project is None else self.role_in(at, project)
        self.require_held(project_id, held, role)
        assert project is not None
        return project

    def require_held(self, project_id: str | None, held: Role | None, role: Role) -> None:
        """As require_in, by the role that was read before. held: None: the caller may not see the project."""
        if project_id is None or held is None:
            raise NotFound(f"project {project_id}")
        if held < role:
            raise Forbidden(f"the role {role.label} is required")
        _note(project_id, role)

    def require_again(self, at: Snapshot | Transaction, grants: Grants) -> None:
        """Make the same checks again. NotFound or Forbidden if the caller does not pass them any more."""
        for project_id, role in grants.items():
            if project_id:
                self.require_in(at, project_id, Role(role))
            else:
                self.require(Role(role))

    def require_maintainer(self, at: Snapshot | Transaction, project_id: str | None) -> None:
        """Require the role maintainer in the project; for None, an administrator. NotFound or Forbidden if not."""
        if project_id is None:
            if not self.is_admin:
                raise NotFound("no project")
            _note("", Role.ADMIN)
            return
        self.require_in(at, project_id, Role.MAINTAINER)


def holds_role(at: Snapshot | Transaction, project: Project, username: str, role: Role) -> bool:
    """Whether there is an active person of this name whose role in the project is this one or a higher one."""
    user = at.find(select(User).where(User.username == username, User.is_active.is_(True)))
    # To MariaDB, `ada ` is `ada`, too.
    if user is None or user.username != username:
        return False
    held = Caller(user.id, user.username, Role(user.role)).role_in(at, project)
    return held is not None and held >= role


def roles_in(at: Snapshot | Transaction, projects: Sequence[Project], by: Caller) -> dict[str, Role]:
    """As Caller.role_in, for many projects, with at most one statement: id → role, without those they may not see."""
    asked = [] if by.is_admin else [project.id for project in projects if project.is_restricted]
    query = select(ProjectMember.project_id, ProjectMember.role)
    query = query.where(ProjectMember.user_id == by.user_id, ProjectMember.project_id.in_(asked))
    held = dict(at.session.execute(query).all()) if asked else {}
    roles = {
        project.id: by.role_by(is_restricted=project.is_restricted, member_role=held.get(project.id))
        for project in projects
    }
    return {project_id: role for project_id, role in roles.items() if role is not None}


def projects_seen(at: Snapshot | Transaction, by: Caller) -> Sequence[str] | None:
    """The ids of the projects that the caller may see; None: every project, because nothing is hidden from them.

    For queries of tables that grow: a condition on values lets the database read an index in the order of a list; a
    subquery makes it read everything. None is true of this moment: see `sees_all`.
    """
    if sees_all(at, by):
        return None
    return at.session.scalars(visible_projects(by)).all()


def sees_all(at: Snapshot | Transaction, by: Caller) -> bool:
    """Whether no project is hidden from the caller now.

    Who reads without a condition on projects because of this asks again afterwards: between the two, somebody may have
    restricted a project, or added a restricted one.
    """
    return by.is_admin or at.session.execute(hidden_projects(by).limit(1)).first() is None


def hidden_projects(by: Caller) -> Select[str]:
    """The ids of the projects that a caller who is no administrator may not see, as a subquery.

    `id NOT IN` these leaves a list of projects to the index that has its order; with `sees_project` SQLite reads all
    that are not restricted, and sorts them.
    """
    member = select(ProjectMember.project_id).where(ProjectMember.user_id == by.user_id)
    return select(Project.id).where(Project.is_restricted.is_(True), Project.id.not_in(member)).correlate(None)


def visible_projects(by: Caller) -> Select[str]:
    """The ids of the projects that the caller may see, as a subquery."""
    return select(Project.id).where(sees_project(by))


def sees_project(by: Caller) -> ColumnElement[bool]:
    """Query condition on Project: the caller may see it."""
    if by.is_admin:
        return true()
    member = select(ProjectMember.project_id).where(ProjectMember.user_id == by.user_id)
    return or_(Project.is_restricted.is_(False), Project.id.in_(member))
