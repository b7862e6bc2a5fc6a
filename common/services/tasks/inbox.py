"""What waits for a person: the questions, reviews, failures and releases in which the caller may decide something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, false, or_, select

from common.models.delivery import TaskGroup
from common.models.project import Project, ProjectMember
from common.models.task import Question, Task
from common.services.access import Caller, sees_project
from common.states import GroupState, Phase, ProjectState, QuestionState, Role, TaskState
from common.transaction import Snapshot, snapshot
from common.values.parking import Parked

MOST = 200
"""Of each kind."""


class Need(StrEnum):
    """What a person is asked to do. Members are in the order of the list."""

    QUESTION = "question"
    """An agent asked; a member answers."""
    RELEASE = "release"
    """A group failed, or it was made for production and runs on staging; a maintainer goes on with it."""
    REVIEW = "review"
    """A task is ready to test; a maintainer approves or rejects it."""
    FAILED = "failed"
    """A task was given up; a member tries it again or cancels it."""
    PARKED = "parked"
    """A task reached a cap of spending; a person raises the cap."""


@dataclass(frozen=True)
class InboxItem:
    """One thing that waits. task_id: None for a release; task_group_id: only for a release. state: the task's or the
    group's. detail: the question or the reason; None: there is none. since: aware UTC.
    """

    kind: Need
    project_id: str
    project_name: str
    title: str
    state: str
    since: datetime
    task_id: str | None = None
    task_group_id: str | None = None
    question_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Inbox:
    """total: the number of items. is_cut: there were more than MOST of a kind; the newest are left out."""

    items: list[InboxItem]
    total: int
    is_cut: bool


def read_inbox(*, by: Caller, project_id: str | None = None) -> Inbox:
    """What waits for the caller, in the order of Need, then the oldest first. project_id: None: in all projects."""
    with snapshot() as read:
        found = [list(part) for part in _parts(read, by, project_id)]
    items = [item for part in found for item in part[:MOST]]
    order = list(Need)
    items.sort(key=lambda item: (order.index(item.kind), item.since))
    return Inbox(items, len(items), any(len(part) > MOST for part in found))


def _parts(read: Snapshot, by: Caller, project_id: str | None) -> Iterator[Iterator[InboxItem]]:
    member, maintainer = (_where(by, role, project_id) for role in (Role.MEMBER, Role.MAINTAINER))
    yield _questions(read, member)
    yield _releases(read, maintainer)
    yield _tasks(read, Need.REVIEW, and_(maintainer, _may_approve(by), Task.state_ == TaskState.READY_TO_TEST))
    yield _tasks(read, Need.FAILED, and_(member, Task.state_ == TaskState.FAILED))
    is_capped = and_(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.PARKED, Task.parked_code == Parked.CAP)
    yield _tasks(read, Need.PARKED, and_(member, is_capped))


def _where(by: Caller, role: Role, project_id: str | None) -> ColumnElement[bool]:
    """Query condition on Project: the caller has at least this role in it."""
    if by.role < role:
        return false()
    member = select(ProjectMember.project_id).where(
        ProjectMember.user_id == by.user_id, ProjectMember.role >= int(role)
    )
    reaches = sees_project(by) if by.is_admin else or_(Project.is_restricted.is_(False), Project.id.in_(member))
    holds = and_(reaches, Project.state_ != ProjectState.DELETING)
    return holds if project_id is None else and_(holds, Project.id == project_id)


def _may_approve(by: Caller) -> ColumnElement[bool]:
    """Query condition on Task and Project: the caller did not write a task that somebody else has to approve."""
    needs_other = or_(Project.separate_approver.is_(True), Task.needs_other_approver.is_(True))
    return ~and_(needs_other, Task.created_by_id.is_not(None), Task.created_by_id == by.user_id)


def _questions(read: Snapshot, where: ColumnElement[bool]) -> Iterator[InboxItem]:
    query = (
        select(Question.id, Question.question, Question.asked_at, Task.id, Task.title, Task.state_, Project.id,
               Project.name)
        .join(Task, Task.id == Question.task_id)
        .join(Project, Project.id == Task.project_id)
        .where(where, Question.state == QuestionState.PENDING)
        .where(Task.state_.in_((TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT)))
        .order_by(Question.asked_at, Question.id)
        .limit(MOST + 1)
    )  # fmt: skip
    for question_id, question, at, task_id, title, state, project_id, name in read.session.execute(query):
        yield InboxItem(
            Need.QUESTION, project_id, name, title, state, at, task_id=task_id, question_id=question_id, detail=question
        )


def _tasks(read: Snapshot, kind: Need, where: ColumnElement[bool]) -> Iterator[InboxItem]:
    query = (
        select(Task, Project.name)
        .join(Project, Project.id == Task.project_id)
        .where(where)
        .order_by(Task.updated_at, Task.id)
        .limit(MOST + 1)
    )
    reasons = {Need.FAILED: "error", Need.PARKED: "parked_reason"}
    for task, name in read.session.execute(query):
        detail = getattr(task, reasons[kind]) if kind in reasons else None
        yield InboxItem(
            kind, task.project_id, name, task.title, task.state_, task.updated_at, task_id=task.id, detail=detail
        )


def _releases(read: Snapshot, where: ColumnElement[bool]) -> Iterator[InboxItem]:
    waits = or_(
        TaskGroup.state_ == GroupState.FAILED,
        and_(TaskGroup.state_ == GroupState.STAGING, TaskGroup.target_branch == "production"),
    )
    query = (
        select(TaskGroup, Project.name)
        .join(Project, Project.id == TaskGroup.project_id)
        .where(where, waits)
        .order_by(TaskGroup.created_at, TaskGroup.id)
        .limit(MOST + 1)
    )
    for group, name in read.session.execute(query):
        title = group.name or group.branch.removeprefix("release/")
        yield InboxItem(
            Need.RELEASE, group.project_id, name, title, group.state_, group.created_at, task_group_id=group.id,
            detail=group.error,
        )  # fmt: skip
