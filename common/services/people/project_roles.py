"""A caller's role in a project and the version of its tasks, read by the statement that reads the caller.

The version is the number and the time of the newest event in the project's feed. It serves as a version of the
project's tasks because every transaction that changes what a list shows records an event there, and because the numbers
of a feed follow the order of commits. tests/version_guard.py watches the tests of the API and of all jobs for one that
does not. The time tells a database that was restored from a backup from what it was before.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import and_, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.database import engines
from common.database.compiled_statements import AnySelect, Row, Statement
from common.errors import Busy
from common.models.account import User
from common.models.journal import EventRow, Feed
from common.models.project import Project, ProjectMember
from common.services.requests.access import Caller, RoleInProject

ExtendQuery = Callable[[AnySelect], AnySelect]
"""Adds to the query for a user what is read along with them."""


def unchanged_query(query: AnySelect) -> AnySelect:
    """Nothing is read along."""
    return query


def with_role_in_project(query: AnySelect) -> AnySelect:
    """The query for a user, with the columns that `caller_from_row` reads. Its parameter `project` is an id."""
    return (
        query.outerjoin(Project, Project.id == bindparam("project"))
        .outerjoin(ProjectMember, and_(ProjectMember.project_id == Project.id, ProjectMember.user_id == User.id))
        .outerjoin(Feed, Feed.id == Project.id)
        .outerjoin(EventRow, and_(EventRow.feed_id == Feed.id, EventRow.seq == Feed.seq))
        .add_columns(Project.is_restricted, ProjectMember.role, Feed.seq, EventRow.at)
    )


def caller_from_row(caller: Caller, project_id: str, of_project: Row) -> Caller:
    """The caller with what those columns say."""
    is_restricted, member_role, seq, at = of_project
    role = None if is_restricted is None else caller.role_by(is_restricted=is_restricted, member_role=member_role)
    version = None if seq is None or at is None else f"{seq:x}.{int(at.timestamp() * 1_000_000):x}"
    role_in_project = RoleInProject(project_id, role, version)
    return Caller(caller.user_id, caller.username, caller.role, caller.token_id, role_in_project)


def read_first_row(statement: Statement, **values: object) -> Row | None:
    """The statement's first row. Busy if the database can't be reached."""
    try:
        rows = statement.read(**values)
    except PoolTimeoutError as error:
        raise Busy("all database connections are in use") from error
    except DBAPIError as error:
        engines.raise_busy(error)
        raise
    return rows[0] if rows else None
