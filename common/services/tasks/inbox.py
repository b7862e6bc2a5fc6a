"""What waits for a person: the live versions that fail, and the questions, reviews, failures and releases in which the
caller may decide something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from common.models.delivery import Deployment, FlakyTest, HealthSpan, TaskGroup
from common.models.project import Project, ProjectMember, Push
from common.models.task import Question, Task, asker
from common.services.changes.pushes import is_push_of
from common.services.requests.access import Caller, sees_project
from common.transaction import Snapshot, snapshot
from common.values.delivery.health_check import HealthState
from common.values.runs.parking import Parked
from common.values.states import Environment, GroupState, Phase, ProjectState, QuestionState, Role, TaskState

MOST = 200
"""Of each kind."""
ADDING = timedelta(minutes=5)
"""For so long, whoever wrote a task is likely to be adding its files."""


class Need(StrEnum):
    """What a person is asked to do. Members are in the order of the list."""

    FAILING = "failing"
    """The live version of staging or production does not stay up; a maintainer rolls back or has it mended."""
    QUESTION = "question"
    """An agent or the platform asked; a member answers."""
    RELEASE = "release"
    """A group failed, is merged and may not go to staging by itself, or was made for production and runs on staging; a
    maintainer goes on with it."""
    REVIEW = "review"
    """A task is ready to test; a maintainer approves or rejects it."""
    FAILED = "failed"
    """A task was given up; a member tries it again or cancels it."""
    RED_BASE = "red_base"
    """The tests of the default branch fail by themselves; a member has them mended."""
    QUARANTINED = "quarantined"
    """A project's rule put a test into quarantine; its owner, the caller, has it mended or takes it out."""
    PARKED = "parked"
    """A task reached a cap of spending; a person raises the cap."""
    FILES = "files"
    """A task still waits for its files; a member adds them and lets it begin."""


@dataclass(frozen=True)
class InboxItem:
    """One thing that waits. task_id: only for a task; task_group_id: only for a release; deployment_id: only for a live
    version. state: the task's or the group's, `failing` for a live version, `failed` for a red default branch, `flaky`
    for a test. detail: the question or the reason; None: there is none. asked_by: of a question, see Question. since:
    aware UTC.
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
    asked_by: str | None = None
    deployment_id: str | None = None


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


@dataclass(frozen=True)
class _Reach:
    """Projects in which the caller may decide something: id → name, and whether an approver may not be the author."""

    projects: dict[str, tuple[str, bool]]

    def holds(self, project_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        return project_id.in_(list(self.projects))


def _parts(read: Snapshot, by: Caller, project_id: str | None) -> Iterator[Iterator[InboxItem]]:
    member, maintainer = (_reach(read, by, role, project_id) for role in (Role.MEMBER, Role.MAINTAINER))
    yield _failing(read, maintainer)
    yield _questions(read, member)
    yield _releases(read, maintainer)
    yield _tasks(read, Need.REVIEW, maintainer, _may_approve(by, maintainer), Task.state_ == TaskState.READY_TO_TEST)
    yield _tasks(read, Need.FAILED, member, Task.state_ == TaskState.FAILED)
    is_capped = and_(Task.phase_ == Phase.PARKED, Task.parked_code == Parked.CAP)
    yield _red_bases(read, member)
    yield _quarantined(read, by, maintainer)
    yield _tasks(read, Need.PARKED, member, Task.state_ == TaskState.IN_PROGRESS, is_capped)
    yield _without_files(read, member)


def _reach(read: Snapshot, by: Caller, role: Role, project_id: str | None) -> _Reach:
    """The projects in which the caller has at least this role."""
    if by.role < role:
        return _Reach({})
    member = select(ProjectMember.project_id).where(
        ProjectMember.user_id == by.user_id, ProjectMember.role >= int(role)
    )
    reaches = sees_project(by) if by.is_admin else or_(Project.is_restricted.is_(False), Project.id.in_(member))
    query = select(Project.id, Project.name, Project.separate_approver)
    query = query.where(reaches, Project.state_ != ProjectState.DELETING)
    if project_id is not None:
        query = query.where(Project.id == project_id)
    return _Reach({row[0]: (row[1], row[2]) for row in read.session.execute(query)})


def _may_approve(by: Caller, reach: _Reach) -> ColumnElement[bool]:
    """Query condition on Task: the caller did not write, change or push to a task that somebody else has to approve."""
    separate = [project_id for project_id, (_name, is_separate) in reach.projects.items() if is_separate]
    needs_other = or_(Task.project_id.in_(separate), Task.needs_other_approver.is_(True))
    is_written = and_(Task.created_by_id.is_not(None), Task.created_by_id == by.user_id)
    is_edited = cast(Task.edited_by_ids, Text).contains(by.user_id)
    is_pushed = select(Push.id).where(Push.task_id == Task.id, is_push_of(by)).exists()
    return ~and_(needs_other, or_(is_written, is_edited, is_pushed))


def _questions(read: Snapshot, reach: _Reach) -> Iterator[InboxItem]:
    query = (
        select(Question.id, Question.question, Question.run_id, Question.asked_at)
        .add_columns(Task.id, Task.title, Task.state_, Task.project_id)
        .join(Task, Task.id == Question.task_id)
        .where(reach.holds(Task.project_id), Question.state == QuestionState.PENDING)
        .where(Task.state_.in_((TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT)))
        .order_by(Question.asked_at, Question.id)
        .limit(MOST + 1)
    )
    if not reach.projects:
        return
    for question_id, question, run_id, at, task_id, title, state, project_id in read.session.execute(query):
        yield InboxItem(
            Need.QUESTION, project_id, reach.projects[project_id][0], title, state, at, task_id=task_id,
            question_id=question_id, detail=question, asked_by=asker(run_id),
        )  # fmt: skip


def _failing(read: Snapshot, reach: _Reach) -> Iterator[InboxItem]:
    if not reach.projects:
        return
    query = (
        select(Deployment)
        .where(Deployment.live_key.is_not(None), Deployment.error.is_not(None), reach.holds(Deployment.project_id))
        .where(Deployment.environment_ != Environment.PREVIEW)
        .order_by(Deployment.created_at, Deployment.id)
        .limit(MOST + 1)
    )
    for row in read.session.scalars(query):
        last_well = select(func.max(HealthSpan.until)).where(
            HealthSpan.project_id == row.project_id, HealthSpan.app_name == row.app_name,
            HealthSpan.deployment_id == row.id, HealthSpan.state == HealthState.HEALTHY,
        )  # fmt: skip
        since = read.session.execute(last_well).scalar_one() or row.finished_at or row.created_at
        yield InboxItem(
            Need.FAILING, row.project_id, reach.projects[row.project_id][0], row.environment_, HealthState.FAILING,
            since, deployment_id=row.id, detail=row.error,
        )  # fmt: skip


def _tasks(read: Snapshot, kind: Need, reach: _Reach, *where: ColumnElement[bool]) -> Iterator[InboxItem]:
    if not reach.projects:
        return
    query = select(Task).where(*where, reach.holds(Task.project_id)).order_by(Task.updated_at, Task.id).limit(MOST + 1)
    reasons = {Need.FAILED: "error", Need.PARKED: "parked_reason"}
    for task in read.session.scalars(query):
        detail = getattr(task, reasons[kind]) if kind in reasons else None
        yield InboxItem(
            kind, task.project_id, reach.projects[task.project_id][0], task.title, task.state_, task.updated_at,
            task_id=task.id, detail=detail,
        )  # fmt: skip


def _without_files(read: Snapshot, reach: _Reach) -> Iterator[InboxItem]:
    if not reach.projects:
        return
    # An expression: by its indexes of states, SQLite would read the whole backlog.
    is_in_backlog = Task.state_.concat("") == TaskState.BACKLOG
    query = (
        select(Task)
        .where(Task.parked_code == Parked.FILES, Task.created_at < read.now() - ADDING, is_in_backlog)
        .where(reach.holds(Task.project_id))
        .order_by(Task.created_at, Task.id)
        .limit(MOST + 1)
    )
    for task in read.session.scalars(query):
        yield InboxItem(
            Need.FILES, task.project_id, reach.projects[task.project_id][0], task.title, task.state_, task.created_at,
            task_id=task.id, detail=task.parked_reason,
        )  # fmt: skip


def _red_bases(read: Snapshot, reach: _Reach) -> Iterator[InboxItem]:
    if not reach.projects:
        return
    query = select(Project.id, Project.default_branch, Project.red_base).where(reach.holds(Project.id))
    for project_id, branch, red_base in read.session.execute(query.where(Project.red_base.is_not(None))):
        if red_base is not None:
            since = datetime.fromisoformat(red_base.since)
            yield InboxItem(
                Need.RED_BASE, project_id, reach.projects[project_id][0], branch, "failed", since,
                detail=red_base.reason,
            )  # fmt: skip


def _quarantined(read: Snapshot, by: Caller, reach: _Reach) -> Iterator[InboxItem]:
    if not reach.projects:
        return
    query = (
        select(FlakyTest)
        .where(FlakyTest.quarantined_by == by.username, FlakyTest.quarantined_until > read.now())
        .where(FlakyTest.is_quarantined_by_rule.is_(True), reach.holds(FlakyTest.project_id))
        .order_by(FlakyTest.quarantined_until)
        .limit(MOST + 1)
    )
    for row in read.session.scalars(query):
        yield InboxItem(
            Need.QUARANTINED, row.project_id, reach.projects[row.project_id][0], row.name, "flaky",
            row.last_at or read.now(), detail=row.quarantine_reason,
        )  # fmt: skip


def _releases(read: Snapshot, reach: _Reach) -> Iterator[InboxItem]:
    if not reach.projects:
        return
    for_production = and_(TaskGroup.state_ == GroupState.STAGING, TaskGroup.target_branch == "production")
    found: list[TaskGroup] = []
    stays = and_(TaskGroup.state_ == GroupState.MERGED, TaskGroup.error.is_not(None))
    # Each by its own index, which has the order.
    for waits in (TaskGroup.state_ == GroupState.FAILED, stays, for_production):
        query = select(TaskGroup).where(waits, reach.holds(TaskGroup.project_id))
        found += read.session.scalars(query.order_by(TaskGroup.created_at, TaskGroup.id).limit(MOST + 1))
    for group in sorted(found, key=lambda one: (one.created_at, one.id))[: MOST + 1]:
        title = group.name or group.branch.removeprefix("release/")
        yield InboxItem(
            Need.RELEASE, group.project_id, reach.projects[group.project_id][0], title, group.state_,
            group.created_at, task_group_id=group.id, detail=group.error,
        )  # fmt: skip
