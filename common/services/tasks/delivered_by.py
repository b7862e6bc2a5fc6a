"""The task group that delivers a task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from common.models.delivery import Deployment, GroupMember, Receipt, TaskGroup
from common.transaction import Snapshot
from common.values.states import Environment, GroupState

_GIVEN_UP = (GroupState.CANCELLED, GroupState.CONFLICT)


@dataclass(frozen=True)
class DeliveringGroup:
    """delivered_at: when production first ran it, aware UTC; None: it has not yet. receipt: of that delivery; None: not
    yet, or it was before there were receipts.
    """

    id: str
    name: str | None
    branch: str
    state: GroupState
    delivered_at: datetime | None
    receipt: Receipt | None


def delivering_group(read: Snapshot, task_id: str) -> DeliveringGroup | None:
    """The newest group that the task is part of. None: no group holds it, or the group was given up."""
    query = select(TaskGroup).join(GroupMember, GroupMember.group_id == TaskGroup.id)
    query = query.where(GroupMember.task_id == task_id, GroupMember.removed_reason.is_(None))
    query = query.where(TaskGroup.state_.not_in(_GIVEN_UP))
    group = read.find(query.order_by(TaskGroup.created_at.desc(), TaskGroup.id.desc()).limit(1))
    if group is None:
        return None
    delivered = select(func.min(Deployment.finished_at)).where(
        Deployment.task_group_id == group.id,
        Deployment.environment_ == Environment.PRODUCTION,
        Deployment.was_healthy,
    )
    delivered_at: datetime | None = read.session.execute(delivered).scalar()
    receipt = None if delivered_at is None else _receipt_of(read, group.id)
    return DeliveringGroup(group.id, group.name, group.branch, group.state, delivered_at, receipt)


def _receipt_of(read: Snapshot, group_id: str) -> Receipt | None:
    query = (
        select(Receipt)
        .join(Deployment, Deployment.id == Receipt.deployment_id)
        .where(Deployment.task_group_id == group_id, Deployment.rollback_of.is_(None))
    )
    return read.find(query.order_by(Receipt.number).limit(1))
