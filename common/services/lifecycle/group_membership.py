"""Which tasks are part of a group: reading only. Changes are made in common/services/lifecycle/group_states.py."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from common.errors import NotFound
from common.models.delivery import GroupMember, TaskGroup
from common.models.project import Project
from common.models.task import Task
from common.services.requests.access import Caller
from common.transaction import Snapshot, Transaction
from common.values.states import Role


def group_seen_by(at: Transaction | Snapshot, group_id: str, by: Caller) -> tuple[TaskGroup, Project]:
    """The group and its project. NotFound if the caller can't see it."""
    group = at.session.get(TaskGroup, group_id)
    if group is None:
        raise NotFound(f"task group {group_id}")
    return group, by.require_in(at, group.project_id, Role.VIEWER)


def member_task_ids(at: Transaction | Snapshot, group_id: str) -> Sequence[str]:
    """The ids of the tasks that are part of the group, in the order of merging."""
    query = (
        select(GroupMember.task_id)
        .where(GroupMember.group_id == group_id, GroupMember.removed_reason.is_(None))
        .order_by(GroupMember.position)
    )
    return at.session.scalars(query).all()


def members_of(tx: Transaction, group: TaskGroup) -> list[GroupMember]:
    """The membership rows of these tasks, in the order of merging."""
    return tx.all(
        select(GroupMember)
        .where(GroupMember.group_id == group.id, GroupMember.removed_reason.is_(None))
        .order_by(GroupMember.position)
    )


def member_tasks(at: Transaction | Snapshot, group: TaskGroup) -> Sequence[Task]:
    """These tasks themselves, in the order of merging. Takes no lock."""
    return at.all(
        select(Task)
        .join(GroupMember, GroupMember.task_id == Task.id)
        .where(GroupMember.group_id == group.id, GroupMember.removed_reason.is_(None))
        .order_by(GroupMember.position)
    )


def holding_group_id(tx: Transaction, task_id: str) -> str | None:
    """The id of the live group that holds the task; None if no group does."""
    query = select(GroupMember.group_id).where(GroupMember.live_task_id == task_id)
    return tx.session.execute(query).scalar_one_or_none()


def commit_at(tx: Transaction, group: TaskGroup, position: int) -> str:
    """The commit that holds the first `position` members; 0: the default branch's head below them."""
    commit = group.base_sha if position == 0 else members_of(tx, group)[position - 1].merged_sha
    assert commit is not None, f"group {group.id} has no commit with {position} members"
    return commit
