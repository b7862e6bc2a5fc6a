"""Which tasks are part of a group, and what becomes of the group when one leaves it.

Every function expects the group and its tasks to be locked: `lock_with_group` does that for one task.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from common import jobs
from common.errors import Conflict
from common.models.delivery import GroupMember, TaskGroup
from common.models.task import Task
from common.services.tasks.lifecycle import leave_staging
from common.states import By, GroupState
from common.transaction import Transaction
from common.values.build_results import BuildResults

BEFORE_STAGING = frozenset({GroupState.PENDING, GroupState.MERGING, GroupState.MERGED, GroupState.FAILED})
"""States in which nothing of the group is deployed or on its way: a task can leave, and the rest is built anew."""


def member_task_ids(tx: Transaction, group_id: str) -> Sequence[str]:
    """The tasks that are part of the group, in the order of merging."""
    query = (
        select(GroupMember.task_id)
        .where(GroupMember.group_id == group_id, GroupMember.removed_reason.is_(None))
        .order_by(GroupMember.position)
    )
    return tx.session.scalars(query).all()


def members_of(tx: Transaction, group: TaskGroup) -> list[GroupMember]:
    """The same as rows."""
    return tx.all(
        select(GroupMember)
        .where(GroupMember.group_id == group.id, GroupMember.removed_reason.is_(None))
        .order_by(GroupMember.position)
    )


def lock_with_tasks(tx: Transaction, group_id: str) -> TaskGroup | None:
    """The group with its tasks, locked; None if it is gone."""
    if tx.session.get(TaskGroup, group_id) is None:
        return None
    tx.lock_all(Task, member_task_ids(tx, group_id))
    return tx.lock(TaskGroup, group_id)


def lock_with_group(tx: Transaction, task_id: str) -> TaskGroup | None:
    """Lock the task, and the live group that holds it with all of its tasks. None if no group holds it."""
    group_id = _holder(tx, task_id)
    if group_id is None:
        tx.lock(Task, task_id)
        group = None
    else:
        tx.lock_all(Task, [task_id, *member_task_ids(tx, group_id)])
        group = tx.lock(TaskGroup, group_id)
    # Only who has the task's lock puts it into a group or takes it out: from here on it stays where it is.
    holder = _holder(tx, task_id)
    if holder not in {None, group_id}:
        raise Conflict(f"task {task_id} was put into group {holder} just now; try again")
    return group if holder is not None else None


def _holder(tx: Transaction, task_id: str) -> str | None:
    query = select(GroupMember.group_id).where(GroupMember.live_task_id == task_id)
    return tx.session.execute(query).scalar_one_or_none()


def remove_member(tx: Transaction, group: TaskGroup, task_id: str, reason: str) -> bool:
    """The task is no part of the group any more; what becomes of the group is the caller's to say.

    Returns whether it was part of it.
    """
    member = tx.session.get(GroupMember, (group.id, task_id))
    if member is None or member.removed_reason is not None:
        return False
    member.removed_reason, member.live_task_id, member.merged_sha = reason, None, None
    tx.session.flush()
    return True


def take_out(tx: Transaction, group: TaskGroup, task_id: str, reason: str, *, by: By) -> bool:
    """The task leaves the group, and the rest goes on without it. Returns whether it was part of it."""
    was_member = remove_member(tx, group, task_id, reason)
    if was_member:
        go_on_without(tx, group, by=by)
    return was_member


def go_on_without(tx: Transaction, group: TaskGroup, *, by: By) -> None:
    """A task has left the group: what is left is built anew; without a task the group is over.

    A failed group stays failed until a person retries it.
    """
    if not end_if_empty(tx, group, by=by):
        if group.state in {GroupState.PENDING, GroupState.MERGING}:
            restart_build(tx, group)
        elif group.state is not GroupState.FAILED or by is By.PERSON:
            restart_merge(tx, group, by)


def end_if_empty(tx: Transaction, group: TaskGroup, *, by: By) -> bool:
    """A group without a task is over: cancelled by the person who took out the last one, else in conflict."""
    if member_task_ids(tx, group.id):
        return False
    tx.record(group.move_to(GroupState.CANCELLED if by is By.PERSON else GroupState.CONFLICT, by))
    release_members(tx, group)
    return True


def note_problem(group: TaskGroup, task_id: str | None, kind: str, detail: str, files: Sequence[str] = ()) -> None:
    """Say on the group what happened, once for each task and kind: what is newer replaces what was said before."""
    forget_problem(group, task_id, kind)
    group.problems = [*group.problems, {"taskId": task_id, "kind": kind, "files": list(files), "detail": detail}]


def forget_problem(group: TaskGroup, task_id: str | None, kind: str) -> None:
    group.problems = [one for one in group.problems if (one["taskId"], one["kind"]) != (task_id, kind)]


def release_members(tx: Transaction, group: TaskGroup) -> None:
    """The group has landed or ended: its tasks may be in another one."""
    for member in tx.all(select(GroupMember).where(GroupMember.group_id == group.id)):
        member.live_task_id = None


def restart_build(tx: Transaction, group: TaskGroup) -> None:
    """Inside pending or merging: what was merged so far is thrown away."""
    for row in tx.all(select(GroupMember).where(GroupMember.group_id == group.id)):
        row.merged_sha = None
    group.base_sha = group.head_sha = group.tested_sha = None
    group.build, group.attempt = BuildResults(), group.attempt + 1
    tx.enqueue(jobs.MERGE_GROUP, group.id, project_id=group.project_id)


def restart_merge(tx: Transaction, group: TaskGroup, by: By) -> None:
    """Build the group's branch anew from the default branch's present head, test it, and bring it to staging again.

    The group and its tasks are locked. Tasks that were on staging are approved again.
    """
    was_staged = group.state in {GroupState.STAGING, GroupState.DEPLOYING_STAGING, GroupState.DEPLOYING_PRODUCTION}
    for task in tx.lock_all(Task, member_task_ids(tx, group.id)):
        leave_staging(tx, task, by=By.PLATFORM)
    for member in tx.all(select(GroupMember).where(GroupMember.group_id == group.id)):
        member.merged_sha = None
    tx.record(group.move_to(GroupState.MERGING, by))
    group.base_sha = group.head_sha = group.tested_sha = group.error = None
    group.build, group.attempt = BuildResults(), group.attempt + 1
    group.wants_staging = group.wants_staging or was_staged
    tx.enqueue(jobs.MERGE_GROUP, group.id, project_id=group.project_id)
