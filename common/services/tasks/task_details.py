"""A task with everything that its page shows, read for one reply.

The first statement reads the task, its project, what the caller is there, and which tables have rows of the task. Only
those are then read: most tasks of a project have no question, no attachment and no proposal.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, select, type_coerce

from common.database.compiled_statements import AnyAttribute, AnySelect, IsoTime, Row, Statement, StoredText
from common.errors import NotFound
from common.models.account import User
from common.models.delivery import Deployment, GroupMember
from common.models.project import Project, ProjectMember
from common.models.run import Run
from common.models.spend import ModelCall, PlatformSetting
from common.models.task import (
    Attachment,
    Comment,
    PreviewPicture,
    Proposal,
    Question,
    Task,
    TaskCheck,
    TaskDependency,
)
from common.services.caps.caps import PLATFORM_CAPS, WARNED_FROM, CapUse, cap_uses, caps_in_force
from common.services.changes import preview_pictures
from common.services.people.accounts import authenticate_with
from common.services.people.project_roles import read_first_row
from common.services.requests.access import Caller
from common.services.spend.totals import TaskSpend, spent_by_tasks
from common.services.tasks.delivered_by import DeliveringGroup, delivering_group
from common.services.tasks.task_lists import COLUMNS
from common.transaction import Snapshot, snapshot
from common.values.states import Phase, ProposalState, Role

CHECKS = (
    "head", "diff", "merge", "paths", "secrets", "dependencies", "test_setup", "kept_tests", "tests", "lost_tests",
    "new_tests", "changed_tests", "coverage", "statuses", "agent_review", "preview",
)  # fmt: skip
"""The checks of a run's result, in their order."""

OWN_COLUMNS = (
    Task.notes, type_coerce(Task.required_capabilities, StoredText), Task.driver, Task.model,
    type_coerce(Task.limits, StoredText), type_coerce(Task.caps, StoredText), Task.approved_sha, Task.approved_by,
    Task.may_change_test_setup, Task.later_push, Task.held_by, Task.created_by, type_coerce(Task.updated_at, IsoTime),
)  # fmt: skip
"""What the row of one task holds beyond that of a list: JSON as text, times as text."""


@dataclass(frozen=True)
class TaskParts:
    """What belongs to a task. proposals: how many wait for a decision. clone_line: how its holder gets its branch;
    None: nobody holds it. task_group: the group that delivers it; None: none does.
    """

    depends_on: Sequence[str] = ()
    questions: Sequence[Question] = ()
    runs: Sequence[Run] = ()
    deployments: Sequence[Deployment] = ()
    checks: Sequence[TaskCheck] = ()
    comments: Sequence[Comment] = ()
    proposals: int = 0
    attachments: Sequence[Attachment] = ()
    pictures: Sequence[PreviewPicture] = ()
    spent: TaskSpend = field(default_factory=TaskSpend)
    cap_state: Sequence[CapUse] = ()
    clone_line: str | None = None
    task_group: DeliveringGroup | None = None


NO_PARTS = TaskParts()
"""Of a task that has none of it, as most have."""


class ReadParts(TypedDict, total=False):
    """The fields of TaskParts that are read by the task's id; absent: there is nothing of it."""

    depends_on: Sequence[str]
    questions: Sequence[Question]
    runs: Sequence[Run]
    deployments: Sequence[Deployment]
    checks: Sequence[TaskCheck]
    comments: Sequence[Comment]
    proposals: int
    attachments: Sequence[Attachment]
    pictures: Sequence[PreviewPicture]
    spent: TaskSpend
    task_group: DeliveringGroup | None


@dataclass(frozen=True)
class TaskDetails:
    """columns: as task_lists.COLUMNS. own: as OWN_COLUMNS. project: id, name, URL of the repository.

    overview: what the first statement read; None: more was read, or something depends on the time.
    """

    columns: Row
    own: Row
    project: tuple[str, str, str]
    parts: TaskParts
    overview: Row | None


_PARTS: dict[str, AnyAttribute] = {
    "depends_on": TaskDependency.task_id,
    "questions": Question.task_id,
    "runs": Run.task_id,
    "deployments": Deployment.task_id,
    "checks": TaskCheck.task_id,
    "comments": Comment.task_id,
    "proposals": Proposal.task_id,
    "attachments": Attachment.task_id,
    "pictures": PreviewPicture.task_id,
    "calls": ModelCall.task_id,
    "task_group": GroupMember.task_id,
}
EVERY_PART = frozenset(_PARTS)


def _has(column: ColumnElement[str] | AnyAttribute) -> ColumnElement[bool]:
    return exists(select(1).where(column == Task.id)).label(None)


def _with_overview(query: AnySelect) -> AnySelect:
    """The query for a user with the overview of the task whose id is its parameter `task`."""
    platform_caps = select(type_coerce(PlatformSetting.value, StoredText)).where(PlatformSetting.name == PLATFORM_CAPS)
    return (
        query.outerjoin(Task, Task.id == bindparam("task"))
        .outerjoin(Project, Project.id == Task.project_id)
        .outerjoin(ProjectMember, and_(ProjectMember.project_id == Project.id, ProjectMember.user_id == User.id))
        .add_columns(
            *COLUMNS, *OWN_COLUMNS, Project.name, Project.repository_url, Project.is_restricted, ProjectMember.role,
            type_coerce(Project.caps, StoredText), platform_caps.scalar_subquery(), *map(_has, _PARTS.values()),
        )
    )  # fmt: skip


_OVERVIEW = Statement(lambda: _with_overview(select().select_from(User).where(User.id == bindparam("of_user"))))


def read_again(token: str, task_id: str) -> tuple[Caller, Row]:
    """The caller who owns the token, and what `TaskDetails.overview` would be now, by one statement.

    Says nothing about who may see it. Raises Unauthenticated.
    """
    return authenticate_with(token, _with_overview, task=task_id)


def read_details(task_id: str, *, by: Caller) -> TaskDetails:
    """The task. NotFound if there is none, or the caller may not see it."""
    row = read_first_row(_OVERVIEW, task=task_id, of_user=by.user_id)
    if row is None or row[0] is None:
        raise NotFound(f"task {task_id}")
    columns, rest = row[: len(COLUMNS)], row[len(COLUMNS) :]
    own, rest = rest[: len(OWN_COLUMNS)], rest[len(OWN_COLUMNS) :]
    name, url, is_restricted, member_role, project_caps, platform_caps, *has = rest
    role = by.role_by(is_restricted=is_restricted, member_role=member_role)
    if role is None:
        raise NotFound(f"task {task_id}")
    found = {part for part, is_there in zip(_PARTS, has, strict=True) if is_there}
    cap_texts = own[5], project_caps, platform_caps
    has_caps = any(text not in {None, "{}", "null"} for text in cap_texts)
    _id, project_id, _title, _description, _state, phase, *_more = columns
    parts = NO_PARTS
    if found or has_caps:
        with snapshot() as read:
            uses = _notable(read, task_id, project_id, cap_texts) if has_caps else ()
            parts = TaskParts(**read_parts(read, task_id, found), cap_state=uses)
    if phase == Phase.HELD and role >= Role.MEMBER:
        parts = TaskParts(**{**vars(parts), "clone_line": clone_line(columns[10], url)})
    overview = None if found or has_caps else row
    return TaskDetails(columns, own, (project_id, name, url), parts, overview)


def clone_line(branch: str, repository_url: str) -> str:
    """The command with which a person gets a task's branch."""
    return f"git clone -b {branch} {repository_url}.git"


def _notable(read: Snapshot, task_id: str, project_id: str, texts: Sequence[str | None]) -> list[CapUse]:
    """The caps that hold for the task of which most is used. texts: those of the task, its project, the platform."""
    of_task, of_project, of_platform = (json.loads(text or "{}") or {} for text in texts)
    sets = caps_in_force(task_id, project_id, of_task, of_project, of_platform, read.now())
    return [use for use in cap_uses(read, sets) if use.used >= WARNED_FROM * use.limit]


def read_parts(read: Snapshot, task_id: str, found: Container[str] = EVERY_PART) -> ReadParts:
    """Read the parts. found: the names in _PARTS that have rows."""
    parts: ReadParts = {}
    if "depends_on" in found:
        of_task = TaskDependency.task_id == task_id
        parts["depends_on"] = list(read.session.scalars(select(TaskDependency.depends_on_id).where(of_task)))
    if "questions" in found:
        of_task = Question.task_id == task_id
        parts["questions"] = read.all(select(Question).where(of_task).order_by(Question.asked_at, Question.id))
    if "runs" in found:
        of_task = Run.task_id == task_id
        newest = Run.created_at.desc(), Run.id.desc()
        parts["runs"] = read.all(select(Run).where(of_task).order_by(*newest).limit(50))
    if "deployments" in found:
        of_task = Deployment.task_id == task_id
        newest = Deployment.created_at.desc(), Deployment.id.desc()
        parts["deployments"] = read.all(select(Deployment).where(of_task).order_by(*newest).limit(20))
    if "checks" in found:
        parts["checks"] = _latest_checks(read, task_id)
    if "comments" in found:
        of_task = Comment.task_id == task_id
        parts["comments"] = read.all(select(Comment).where(of_task).order_by(Comment.created_at, Comment.id))
    if "proposals" in found:
        open_ones = Proposal.task_id == task_id, Proposal.state == ProposalState.PROPOSED
        query = select(func.count()).select_from(Proposal).where(*open_ones)
        parts["proposals"] = read.session.execute(query).scalar_one()
    if "attachments" in found:
        of_task = Attachment.task_id == task_id
        parts["attachments"] = read.all(select(Attachment).where(of_task).order_by(Attachment.added_at, Attachment.id))
    if "pictures" in found:
        parts["pictures"] = preview_pictures.list_rows(read, task_id)
    if "calls" in found or "runs" in found:
        parts["spent"] = spent_by_tasks(read, [task_id])[task_id]
    if "task_group" in found:
        parts["task_group"] = delivering_group(read, task_id)
    return parts


def _latest_checks(read: Snapshot, task_id: str) -> Sequence[TaskCheck]:
    """The checks of the newest run that has any, in the order of CHECKS."""
    newest = read.find(
        select(TaskCheck).where(TaskCheck.task_id == task_id).order_by(TaskCheck.at.desc(), TaskCheck.id.desc())
    )
    if newest is None:
        return ()
    checks = read.all(select(TaskCheck).where(TaskCheck.run_id == newest.run_id))
    return sorted(checks, key=lambda check: CHECKS.index(check.name))
