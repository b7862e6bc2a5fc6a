"""Which earlier groups leave production or return to it when a rollback, or the delivery after one, goes live.

The caller asks for these groups first (`groups_moved_by`), locks them, and then records the change (`record_moved`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from common.models.delivery import Deployment, GroupMember, TaskGroup
from common.models.task import Task
from common.services.deployment import delivery_rules, versions
from common.services.lifecycle.task_states import record_update
from common.transaction import Transaction
from common.values.states import Environment


@dataclass(frozen=True)
class MovedGroups:
    """Ids of groups. taken: they leave production. back: they are in production again.

    reverted: they left production before, and the new version reverts their changes in the default branch.
    """

    taken: Sequence[str] = ()
    back: Sequence[str] = ()
    reverted: Sequence[str] = ()

    @property
    def ids(self) -> list[str]:
        return [*self.taken, *self.back, *self.reverted]


def groups_moved_by(tx: Transaction, deployment: Deployment) -> MovedGroups:
    """The groups whose place changes when the deployment goes live. Call it before that. Takes no lock."""
    if deployment.environment is not Environment.PRODUCTION:
        return MovedGroups()
    if deployment.rollback_of is not None:
        return MovedGroups(*versions.groups_moved_by(tx, deployment))
    behind = versions.taken_back(tx, deployment.project_id)
    group = tx.session.get(TaskGroup, deployment.task_group_id) if deployment.task_group_id else None
    if behind is None or group is None:
        return MovedGroups()
    standing = select(TaskGroup.id).where(TaskGroup.id.in_(behind.group_ids), TaskGroup.reverted_at.is_(None))
    ids = tx.session.scalars(standing).all()
    return MovedGroups(back=ids) if delivery_rules.brings_back(tx, group, behind) else MovedGroups(reverted=ids)


def record_moved(tx: Transaction, deployment: Deployment, moved: MovedGroups) -> None:
    """Record that the deployment went live. The groups and their tasks are locked."""
    if deployment.rollback_of is not None:
        versions.mark_taken_back(tx, deployment)
    for group in tx.all(select(TaskGroup).where(TaskGroup.id.in_(moved.reverted))):
        group.reverted_at = deployment.created_at
    _mark(tx, moved.taken, deployment.created_at)
    _mark(tx, moved.back, None)


def _mark(tx: Transaction, group_ids: Sequence[str], at: datetime | None) -> None:
    """Set rolled_back_at of the groups and their tasks. at None: they are in production."""
    for group in tx.all(select(TaskGroup).where(TaskGroup.id.in_(group_ids))):
        group.rolled_back_at = at
    members = (
        select(Task)
        .join(GroupMember, GroupMember.task_id == Task.id)
        .where(GroupMember.group_id.in_(group_ids), GroupMember.removed_reason.is_(None))
        .order_by(Task.id)
    )
    for task in tx.all(members):
        task.rolled_back_at = at
        record_update(tx, task, "rolled_back_at")
