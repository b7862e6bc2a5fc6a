"""The rules that a group must meet before each of its steps.

Changes that a rollback removed from production return only if a person accepts that, and no task reaches production
before the tasks it depends on. The rules are checked when a group is created, before staging and before production,
because the state of production may change between these steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from common.errors import Conflict
from common.models.delivery import GroupMember, TaskGroup
from common.models.project import Project
from common.models.task import Task, TaskDependency
from common.services.deployment import versions
from common.services.deployment.versions import TakenBack
from common.services.lifecycle.group_membership import member_tasks
from common.transaction import Transaction
from common.values.states import TaskState

FIX, REVERT = "fix", "revert"
"""A task with one of these labels, created after a rollback, fixes or reverts what was rolled back."""


def check_delivery(tx: Transaction, project: Project, tasks: Sequence[Task], accepted_at: datetime | None) -> None:
    """Conflict (field acceptRolledBack or taskIds) if these tasks may not be delivered together now.

    accepted_at: when a person last accepted that rolled-back changes return; None if nobody did.
    """
    behind = versions.taken_back(tx, project.id)
    if behind is not None and not _accepts(behind, accepted_at) and not _labels_since(tasks, behind):
        raise Conflict(
            f"production was rolled back from {behind.commit_sha[:12]}, which is still in {project.default_branch}: "
            f"add a task created since then that fixes or reverts it (labelled {FIX} or {REVERT}), or set "
            f"acceptRolledBack",
            field="acceptRolledBack",
        )
    for task, needed in _needs_outside(tx, [task.id for task in tasks]):
        if needed.state is not TaskState.PRODUCTION:
            remedy = remedy_for(needed, "put it into the same group, or deliver it first")
            raise Conflict(
                f"task {task.title!r} depends on task {needed.title!r}, which is {needed.state}: {remedy}",
                field="taskIds",
            )
        since = needed.rolled_back_at
        is_accepted = since is not None and accepted_at is not None and accepted_at > since
        if since is not None and not is_accepted and not _comes_with(tx, needed, tasks, behind):
            raise Conflict(
                f"task {task.title!r} depends on task {needed.title!r}, which was rolled back from production: remove "
                f"{task.title!r}, or set acceptRolledBack if what it needs is in place",
                field="acceptRolledBack",
            )


def remedy_for(needed: Task, otherwise: str) -> str:
    """What to do about a task that depends on this one, which is not delivered with it. A cancelled one never is."""
    return "take this dependency away" if needed.state is TaskState.CANCELLED else otherwise


def check_group(tx: Transaction, group: TaskGroup) -> None:
    """Check the tasks that are in the group now, as check_delivery does."""
    tasks = member_tasks(tx, group)
    check_delivery(tx, tx.get(Project, group.project_id), tasks, group.accepted_rolled_back_at)


def brings_back(tx: Transaction, group: TaskGroup, behind: TakenBack) -> bool:
    """Whether the rolled-back changes are in production again once the group is. If not, the group reverts them."""
    is_accepted = _accepts(behind, group.accepted_rolled_back_at)
    return is_accepted or FIX in _labels_since(member_tasks(tx, group), behind)


def waiting(tx: Transaction, task_ids: Sequence[str]) -> dict[str, Task]:
    """Task id → a task it depends on that is neither among the tasks nor delivered, for the tasks that have one."""
    found = _needs_outside(tx, task_ids)
    return {task.id: needed for task, needed in found if needed.state is not TaskState.PRODUCTION}


def merge_order(tx: Transaction, task_ids: Sequence[str]) -> list[str]:
    """The ids in the given order, except that each comes after those of them that it depends on."""
    query = select(TaskDependency).where(
        TaskDependency.task_id.in_(task_ids), TaskDependency.depends_on_id.in_(task_ids)
    )
    needs: dict[str, set[str]] = {task_id: set() for task_id in task_ids}
    for row in tx.all(query):
        needs[row.task_id].add(row.depends_on_id)
    ordered: list[str] = []
    while len(ordered) < len(task_ids):
        # No two tasks wait for each other, so there is always one that can come next.
        ordered.append(next(one for one in task_ids if one not in ordered and needs[one] <= set(ordered)))
    return ordered


def _accepts(behind: TakenBack, accepted_at: datetime | None) -> bool:
    """Whether a person accepted the return of these changes after they were rolled back."""
    return accepted_at is not None and accepted_at > behind.since


def _labels_since(tasks: Sequence[Task], behind: TakenBack) -> set[str]:
    return {label for task in tasks if task.created_at > behind.since for label in task.labels} & {FIX, REVERT}


def _comes_with(tx: Transaction, needed: Task, tasks: Sequence[Task], behind: TakenBack | None) -> bool:
    """Whether one of the tasks is a fix that brings the rolled-back changes back, including those of `needed`."""
    if behind is None or FIX not in _labels_since(tasks, behind):
        return False
    delivered = (
        select(TaskGroup)
        .join(GroupMember, GroupMember.group_id == TaskGroup.id)
        .where(
            GroupMember.task_id == needed.id,
            GroupMember.removed_reason.is_(None),
            TaskGroup.id.in_(behind.group_ids),
            TaskGroup.reverted_at.is_(None),
        )
    )
    return tx.find(delivered) is not None


def _needs_outside(tx: Transaction, task_ids: Sequence[str]) -> list[tuple[Task, Task]]:
    """Pairs (task, dependency) for each dependency that is not among the tasks, in the order of task_ids."""
    outside = select(TaskDependency).where(
        TaskDependency.task_id.in_(task_ids), TaskDependency.depends_on_id.not_in(task_ids)
    )
    rows = sorted(tx.all(outside), key=lambda row: (list(task_ids).index(row.task_id), row.depends_on_id))
    return [(tx.get(Task, row.task_id), tx.get(Task, row.depends_on_id)) for row in rows]
