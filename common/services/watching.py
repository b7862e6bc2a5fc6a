"""What people do at the forge behind our back: they push, merge, close and comment there, and the tasks follow.

A push after the proof or the approval voids it. On the local forge nothing but pushes can happen; on others pull
requests are looked at too. Everything is read anew each time, so it makes no difference which doorbells were heard.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from common import jobs
from common.models.delivery import GroupMember
from common.models.project import Project, Push
from common.models.task import Comment, Task
from common.services import ending, holding
from common.services.places import Place, place_of
from common.services.pushes import PendingPush, pending_pushes
from common.services.tasks import add_feedback
from common.settings import settings
from common.states import By, ProjectState, TaskState
from common.transaction import Lease, Transaction, transactional

BOUND = (TaskState.READY_TO_TEST, TaskState.APPROVED)
"""States that hold for one commit only."""
DISCUSSED = (*BOUND, TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT)
"""States in which what people say on the pull request is for the agent."""
_REMARKS = uuid.UUID("5f0f2c0e-4b0c-5c57-9a4b-0d4c9a6f3b11")


@dataclass(frozen=True)
class WatchPlan:
    """The branches whose heads matter, and the numbers of the pull requests that people may have touched."""

    place: Place
    branches: tuple[str, ...]
    pulls: tuple[int, ...] = ()
    pushes: tuple[PendingPush, ...] = ()


@dataclass(frozen=True)
class Remark:
    """What a person said at the forge. id: the forge's own, good for one pull request. path None: on the whole."""

    id: str
    author: str
    body: str
    path: str | None
    line: int | None
    asks_for_change: bool


@dataclass(frozen=True)
class PullSeen:
    """A pull request as it was found. state: open, closed or merged."""

    state: str
    remarks: tuple[Remark, ...] = ()


@transactional
def begin_watch(tx: Transaction, lease: Lease) -> WatchPlan | None:
    project = tx.session.get(Project, lease.subject_id)
    if project is None or project.state is not ProjectState.ACTIVE:
        return None
    tasks = tx.all(select(Task).where(Task.project_id == project.id, Task.state_.in_(_watched())).order_by(Task.id))
    branches = tuple(task.branch_name for task in tasks if task.state in BOUND)
    pulls = tuple(task.pr_number for task in tasks if task.pr_number is not None) if _has_people() else ()
    pushes = pending_pushes(tx, project.id)
    return WatchPlan(place_of(project), branches, pulls, pushes) if branches or pulls or pushes else None


@transactional
def record_heads(
    tx: Transaction, lease: Lease, heads: Mapping[str, str | None], pulls: Mapping[int, PullSeen] | None = None
) -> None:
    """A task whose branch is not at its proven commit any more goes back to its agent; the others follow their
    pull requests."""
    project = tx.get(Project, lease.subject_id)
    if project.holds:
        holding.lift(tx, tx.lock(Project, project.id))
    watched = select(Task.id).where(Task.project_id == lease.subject_id, Task.state_.in_(_watched()))
    for task in tx.lock_all(Task, tx.session.scalars(watched).all()):
        seen = (pulls or {}).get(task.pr_number) if task.pr_number is not None else None
        asks_for_change = seen is not None and _hear(tx, task, seen.remarks)
        if task.state not in BOUND or _is_held(tx, task):
            continue
        head = heads.get(task.branch_name, task.head_sha)
        if seen is not None and seen.state == "merged" and head in {None, task.head_sha}:
            _approve_merged(tx, task, project)
        elif head != task.head_sha:
            _void(tx, task, head)
        elif seen is not None and seen.state == "closed":
            _cancel_closed(tx, task)
        elif asks_for_change:
            task.approved_sha, task.approved_by, task.round, task.refusals = None, None, task.round + 1, 0
            ending.queue_again(tx, task, by=By.PLATFORM)
    tx.finish(lease)


@transactional
def record_unreadable(tx: Transaction, lease: Lease, reason: str) -> None:
    """The repository can't be read, and won't be by itself: the project says so, and none of its tasks starts."""
    holding.hold(tx, tx.lock(Project, lease.subject_id), reason)
    tx.finish(lease)


def _void(tx: Transaction, task: Task, head: str | None) -> None:
    proven = (task.head_sha or "")[:12]
    text = f"moved: the branch is at {head[:12] if head else 'nothing'} now, but {proven} was proven"
    add_feedback(tx, task, "refusal", f"{text}: what came since has to be proven too.")
    task.approved_sha, task.approved_by, task.round = None, None, task.round + 1
    ending.queue_again(tx, task, by=By.PLATFORM)


def _approve_merged(tx: Transaction, task: Task, project: Project) -> None:
    """Whoever merged it approved it: the forge lets only its owners do so.

    Where it has to be another person than its author, it waits for an approval by somebody who is known here.
    """
    if task.state is TaskState.READY_TO_TEST and not (project.separate_approver or task.needs_other_approver):
        task.approved_sha, task.approved_by, task.updated_at = task.head_sha, "a person at the forge", tx.now()
        tx.record(task.move_to(TaskState.APPROVED, By.PERSON))
        tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def _cancel_closed(tx: Transaction, task: Task) -> None:
    """Whoever closed it, with its branch still there, does not want it."""
    task.approved_sha, task.approved_by, task.assigned_agent_id, task.updated_at = None, None, None, tx.now()
    tx.record(task.move_to(TaskState.CANCELLED, By.PERSON))
    tx.enqueue(jobs.CLEAN_UP_TASK, task.id, project_id=task.project_id)


def _hear(tx: Transaction, task: Task, remarks: Sequence[Remark]) -> bool:
    """Each remark is the agent's once. Returns whether a new one asks for a change."""
    known = set(tx.session.scalars(select(Comment.id).where(Comment.task_id == task.id)))
    asks_for_change = False
    for remark in remarks:
        # Computed from the forge's id, so that however often it is seen, there is one.
        row_id = str(uuid.uuid5(_REMARKS, f"{task.id}:{remark.id}"))
        if row_id in known:
            continue
        asks_for_change = asks_for_change or remark.asks_for_change
        kind = "rejection" if remark.asks_for_change else "comment"
        tx.add(
            Comment(
                id=row_id, task_id=task.id, parent_id=None, kind=kind, author=remark.author[:140], body=remark.body,
                path=remark.path, line=remark.line, created_at=tx.now(),
            )
        )  # fmt: skip
    return asks_for_change


def _is_held(tx: Transaction, task: Task) -> bool:
    """In a live group the approved commit is what is merged, whatever the branch does."""
    return tx.find(select(GroupMember).where(GroupMember.live_task_id == task.id)) is not None


def _has_people() -> bool:
    """Whether the forge is a place where people merge, close and comment."""
    return settings().forge.kind != "local"


def _watched() -> tuple[TaskState, ...]:
    return DISCUSSED if _has_people() else BOUND


@transactional
def ring_for_push(tx: Transaction, project_id: str) -> None:
    """Somebody pushed to the project's repository: look at once. Safe to repeat."""
    tx.enqueue(jobs.WATCH_REPOSITORY, project_id, project_id=project_id)


@transactional
def watch_all(tx: Transaction) -> int:
    """The slow way, for forges whose doorbell was not heard. Returns how many projects are looked at."""
    watched = select(Task.project_id).where(Task.state_.in_(_watched()))
    found = tx.session.scalars(watched.union(select(Push.project_id).where(Push.settled_at.is_(None)))).all()
    for project_id in found:
        ring_for_push(project_id)
    return len(found)
