"""Updates tasks after people push, or merge, close or comment on pull requests, at the forge.

A push after the verification or the approval voids it, and removes the task from a group that is not yet on its way to
staging. A group that already is leaves the push out and notes it. The local forge has only pushes; on others, pull
requests are read, too. The job reads everything each time, so it does not depend on which webhooks arrived.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select

from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.delivery import GroupMember, TaskGroup
from common.models.project import Project, Push
from common.models.task import Comment, Task
from common.services.changes.preview_pictures import void_pictures
from common.services.changes.pushes import PendingPush, pending_pushes
from common.services.lifecycle import task_states
from common.services.lifecycle.group_states import BEFORE_STAGING, forget_problem, note_problem, take_out
from common.services.lifecycle.task_states import record_update
from common.services.project_settings import held_projects
from common.services.project_settings.project_resources import location_of
from common.services.tasks.tasks import add_feedback
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.delivery.project_location import ProjectLocation
from common.values.delivery.pull_request import PullComment, PullReview, PullState
from common.values.states import By, ProjectState, TaskState

BOUND = (TaskState.READY_TO_TEST, TaskState.APPROVED)
"""States that apply to one commit only."""
LATER_PUSH = "later_push"
"""Kind of a group's problem: a push that the group left out."""
DISCUSSED = (*BOUND, TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT)
"""States in which comments on the pull request are passed to the agent."""
_REMARKS = uuid.UUID("5f0f2c0e-4b0c-5c57-9a4b-0d4c9a6f3b11")


@dataclass(frozen=True)
class WatchPlan:
    """The branches whose heads are needed, the numbers of the pull requests to read, and the unsettled pushes.

    proven: task id → the proven commit, of each task in a BOUND state. What is read says nothing of a later one.
    """

    location: ProjectLocation
    branches: tuple[str, ...]
    proven: Mapping[str, str | None]
    pulls: tuple[int, ...] = ()
    pushes: tuple[PendingPush, ...] = ()


@transactional
def begin_watch(tx: Transaction, lease: Lease) -> WatchPlan | None:
    project = tx.session.get(Project, lease.subject_id)
    if project is None or project.state is not ProjectState.ACTIVE:
        return None
    tasks = tx.all(select(Task).where(Task.project_id == project.id, _is_watched()).order_by(Task.id))
    branches = tuple(task.branch_name for task in tasks if task.state in (*BOUND, TaskState.STAGING))
    discussed = [task for task in tasks if task.state in DISCUSSED] if _has_people() else []
    pulls = tuple(task.pr_number for task in discussed if task.pr_number is not None)
    pushes = pending_pushes(tx, project.id)
    proven = {task.id: task.head_sha for task in tasks if task.state in BOUND}
    return WatchPlan(location_of(project), branches, proven, pulls, pushes) if branches or pulls or pushes else None


@transactional
def record_heads(
    tx: Transaction,
    lease: Lease,
    plan: WatchPlan,
    heads: Mapping[str, str | None],
    pulls: Mapping[int, PullReview] | None = None,
    *,
    unreadable: str | None = None,
) -> None:
    """Update the project's tasks to the heads of their branches and the states of their pull requests.

    heads: branch → its head, None if the branch is gone. pulls: by number; None: nothing was read. unreadable: why pull
    requests can't be read, which holds the project's tasks; None: they can. Tasks that were proven since the plan was
    made are looked at again.
    """
    project = tx.get(Project, lease.subject_id)
    if unreadable is not None:
        held_projects.hold_project_without_access(tx, tx.lock(Project, project.id), unreadable)
    elif project.held_until is not None:
        held_projects.release_readable(tx, tx.lock(Project, project.id))
    watched = select(Task.id).where(Task.project_id == lease.subject_id, _is_watched())
    tasks = tx.lock_all(Task, tx.session.scalars(watched).all())
    groups = _lock_groups(tx, tasks)
    for task in tasks:
        seen = _own_pull(task, pulls or {})
        asks_for_change = seen is not None and _store_comments(tx, task, seen.comments)
        group = groups.get(task.id)
        if group is not None and group.state not in BEFORE_STAGING:
            _leave_out(tx, group, task, heads.get(task.branch_name))
        elif task.state in BOUND and plan.proven.get(task.id) == task.head_sha:
            _follow(tx, task, group, heads.get(task.branch_name, task.head_sha), seen, asks_for_change)
        elif task.state in BOUND:
            _follow(tx, task, group, task.head_sha, None, asks_for_change)
            read_repository_after_push(task.project_id)
    tx.finish(lease)


@transactional
def record_unreadable(tx: Transaction, lease: Lease, reason: str) -> None:
    """The repository can't be read, and trying again does not help: hold the project's tasks."""
    held_projects.hold_project_without_access(tx, tx.lock(Project, lease.subject_id), reason)
    tx.finish(lease)


def _lock_groups(tx: Transaction, tasks: Sequence[Task]) -> dict[str, TaskGroup]:
    """Task id → the live group that holds the task, locked, for the tasks that a group holds. The tasks are locked."""
    ids = [task.id for task in tasks]
    held = {row.task_id: row.group_id for row in tx.all(select(GroupMember).where(GroupMember.live_task_id.in_(ids)))}
    groups = {group.id: group for group in tx.lock_all(TaskGroup, held.values())}
    return {task_id: groups[group_id] for task_id, group_id in held.items()}


def _own_pull(task: Task, pulls: Mapping[int, PullReview]) -> PullReview | None:
    """The task's pull request, if it was read. One of another branch is none: a server that was restored from a backup
    gives numbers again.
    """
    seen = pulls.get(task.pr_number) if task.pr_number is not None else None
    return seen if seen is not None and seen.pull.head == task.branch_name else None


def _is_merged_into(seen: PullReview, branch: str) -> bool:
    """Whether a person merged the pull request into this branch. Agents may choose another one, and merge into that."""
    return seen.pull.state is PullState.MERGED and seen.pull.base == branch


def _follow(
    tx: Transaction,
    task: Task,
    group: TaskGroup | None,
    head: str | None,
    seen: PullReview | None,
    asks_for_change: bool,
) -> None:
    """Update a task in a BOUND state to its branch and pull request. group: not yet on its way to staging."""
    has_moved = head != task.head_sha
    if group is not None and head is not None and head == task.later_push:
        # This push was left out when the group was on staging, and stays left out while the group is rebuilt.
        has_moved = False
    project = tx.get(Project, task.project_id)
    if seen is not None and _is_merged_into(seen, project.default_branch) and head in {None, task.head_sha}:
        _approve_merged(tx, task, project)
    elif has_moved:
        proven = (task.head_sha or "")[:12]
        text = f"the branch {task.branch_name} is at {head or 'nothing'} now, but {proven} was proven"
        _leave(tx, group, task, "pushed", text)
        void_pictures(tx, task)
        _void(tx, task, f"moved: {text}: the commits since then have to be verified too.")
    elif seen is not None and seen.pull.state is PullState.CLOSED and not seen.pull.is_closed_by_run:
        _leave(tx, group, task, "closed", "its pull request was closed")
        # A person closed the pull request and left the branch at the verified commit: they do not want the task.
        task_states.cancel(tx, task)
    elif asks_for_change:
        _leave(tx, group, task, "changes_requested", "a review of its pull request asks for changes")
        _void(tx, task, None)


def _leave(tx: Transaction, group: TaskGroup | None, task: Task, kind: str, why: str) -> None:
    """Take the task out of its group, if it is in one, because its approval is about to be voided."""
    if group is not None:
        note_problem(group, task.id, kind, f"Taken out: {why}.")
        take_out(tx, group, task.id, kind, by=By.PLATFORM)


def _leave_out(tx: Transaction, group: TaskGroup, task: Task, head: str | None) -> None:
    """The group is on staging or on its way there: it continues with the approved commit and notes a later push.

    head: None if the branch is gone or unknown.
    """
    later = None if head == task.approved_sha else head
    if head is None or later == task.later_push:
        return
    task.later_push, task.updated_at = later, tx.now()
    record_update(tx, task, "later_push")
    if later is None:
        forget_problem(group, task.id, LATER_PUSH)
        return
    text = f"{later} was pushed to {task.branch_name} too late and is left out: the group continues with the approved"
    note_problem(group, task.id, LATER_PUSH, f"{text} {task.approved_sha}.")


def _void(tx: Transaction, task: Task, text: str | None) -> None:
    """Void the approval and send the task back to its agent. text: the feedback; None: it is already stored."""
    if text is not None:
        add_feedback(tx, task, "refusal", text)
    task_states.send_back(tx, task, by=By.PLATFORM)


def _approve_merged(tx: Transaction, task: Task, project: Project) -> None:
    """Approve a task whose pull request was merged at the forge, where only owners may merge.

    Does nothing if the approver must not be the author: who merged is not known as a user here.
    """
    if task.state is TaskState.READY_TO_TEST and not (project.separate_approver or task.needs_other_approver):
        task_states.approve(tx, task, "a person at the forge")


def _store_comments(tx: Transaction, task: Task, remarks: Sequence[PullComment]) -> bool:
    """Store new comments for the agent, each once. Returns whether a new one asks for a change."""
    known = set(tx.session.scalars(select(Comment.id).where(Comment.task_id == task.id)))
    asks_for_change = False
    for remark in remarks:
        # The id is computed from the forge's id, so that a comment is stored only once.
        row_id = str(uuid.uuid5(_REMARKS, f"{task.id}:{remark.id}"))
        if row_id in known:
            continue
        asks_for_change = asks_for_change or remark.asks_for_change
        kind = "rejection" if remark.asks_for_change else "comment"
        tx.add(
            Comment(
                id=row_id, task_id=task.id, parent_id=None, kind=kind, author=remark.author[:140], body=remark.body,
                path=remark.path, line=remark.line, side=remark.side, created_at=tx.now(),
            )
        )  # fmt: skip
    return asks_for_change


def _has_people() -> bool:
    """Whether people can merge, close and comment on pull requests at the forge."""
    return settings().forge.kind != "local"


def _is_watched() -> ColumnElement[bool]:
    """Query condition: tasks whose state people can change at the forge, and tasks that a group holds."""
    held = select(GroupMember.live_task_id).where(GroupMember.live_task_id.is_not(None))
    return Task.state_.in_(DISCUSSED if _has_people() else BOUND) | Task.id.in_(held)


@transactional
def read_repository_after_push(tx: Transaction, project_id: str) -> None:
    """Enqueue the job that reads the project's repository. Safe to repeat."""
    tx.enqueue(catalogue.WATCH_REPOSITORY, project_id, project_id=project_id)


@transactional
def watch_all(tx: Transaction) -> int:
    """Enqueue the job for every project with watched tasks or unsettled pushes, in case a webhook was lost.

    Returns the number of projects.
    """
    # Each by its own index: joined by OR, they would be looked for among all tasks; and SQLite has no use of an index
    # for IS NOT NULL.
    states = select(Task.project_id).where(Task.state_.in_(DISCUSSED if _has_people() else BOUND))
    held = select(Task.project_id).join(GroupMember, GroupMember.live_task_id == Task.id)
    pushed = select(Push.project_id).where(Push.settled_at.is_(None))
    found = {
        project_id
        for query in (states, held.where(GroupMember.live_task_id > ""), pushed)
        for project_id in tx.session.scalars(query.distinct())
    }
    for project_id in sorted(found):
        read_repository_after_push(project_id)
    return len(found)
