"""What people do at the forge behind our back: a push after the proof or the approval voids it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from common import jobs
from common.models.delivery import GroupMember
from common.models.project import Project
from common.models.task import Task
from common.services import ending
from common.services.places import Place, place_of
from common.services.tasks import add_feedback
from common.states import By, ProjectState, TaskState
from common.transaction import Lease, Transaction, transactional

BOUND = (TaskState.READY_TO_TEST, TaskState.APPROVED)
"""States that hold for one commit only."""


@dataclass(frozen=True)
class WatchPlan:
    """The branches whose heads matter."""

    place: Place
    branches: tuple[str, ...]


@transactional
def begin_watch(tx: Transaction, lease: Lease) -> WatchPlan | None:
    project = tx.session.get(Project, lease.subject_id)
    if project is None or project.state is not ProjectState.ACTIVE:
        return None
    branches = tx.session.scalars(
        select(Task.branch_name).where(Task.project_id == project.id, Task.state_.in_(BOUND))
    ).all()
    return WatchPlan(place_of(project), tuple(branches)) if branches else None


@transactional
def record_heads(tx: Transaction, lease: Lease, heads: Mapping[str, str | None]) -> None:
    """A task whose branch is not at its proven commit any more goes back to its agent."""
    bound = select(Task.id).where(Task.project_id == lease.subject_id, Task.state_.in_(BOUND))
    for task in tx.lock_all(Task, tx.session.scalars(bound).all()):
        head = heads.get(task.branch_name, task.head_sha)
        if task.state not in BOUND or head == task.head_sha or _is_held(tx, task):
            continue
        proven = (task.head_sha or "")[:12]
        text = f"moved: the branch is at {head[:12] if head else 'nothing'} now, but {proven} was proven"
        add_feedback(tx, task, "refusal", f"{text}: what came since has to be proven too.")
        task.approved_sha, task.approved_by, task.round = None, None, task.round + 1
        ending.queue_again(tx, task, by=By.PLATFORM)
    tx.finish(lease)


def _is_held(tx: Transaction, task: Task) -> bool:
    """In a live group the approved commit is what is merged, whatever the branch does."""
    return tx.find(select(GroupMember).where(GroupMember.live_task_id == task.id)) is not None


@transactional
def ring_for_push(tx: Transaction, project_id: str) -> None:
    """Somebody pushed to the project's repository: look at once. Safe to repeat."""
    tx.enqueue(jobs.WATCH_REPOSITORY, project_id, project_id=project_id)


@transactional
def watch_all(tx: Transaction) -> int:
    """The slow way, for forges whose doorbell was not heard. Returns how many projects are looked at."""
    bound = select(Task.project_id).where(Task.state_.in_(BOUND)).distinct()
    found = tx.session.scalars(bound).all()
    for project_id in found:
        ring_for_push(project_id)
    return len(found)
