"""The versions of one environment in the order of delivery, and which of them were rolled back.

A rollback delivers nothing new: it makes an older version live. Every version delivered after the live one
is taken back. The numbers of versions are the order of deliveries; a clock may be set back between two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, update

from common.models.delivery import Deployment, GroupMember, TaskGroup
from common.transaction import Transaction
from common.values.delivery.rollback_barrier import Barrier
from common.values.states import Environment

MOST_COMPARED = 200
"""How many older commits are compared with what a new version declares about rollbacks; what is older is blocked."""

DeliveryQuery: TypeAlias = "Select[str, datetime, int | None, str, str | None, datetime | None, Barrier | None]"


@dataclass(frozen=True)
class DeliveryPosition:
    """A position in the delivery order: a version's number. None: after all of them, for one that was never healthy."""

    version: int | None


@dataclass(frozen=True)
class TakenBack:
    """The versions delivered after production's live one: they are in the default branch and not in production.

    commit_sha: the newest of these versions. since: when the last of them was taken back. group_ids: their groups.
    """

    commit_sha: str
    since: datetime
    group_ids: tuple[str, ...]


def delivery_position_of(tx: Transaction, version: Deployment) -> DeliveryPosition:
    """The version's position in the delivery order.

    A rollback stands where the version it brought back was delivered.
    """
    if version.rollback_of is None or version.version is not None:
        return DeliveryPosition(version.version)
    return DeliveryPosition(_brought_back(tx, version))


def next_number(tx: Transaction, version: Deployment) -> int | None:
    """Which version of its environment this one is, now that it goes live. None for a preview.

    A rollback has the number of the version that it brings back; any other is one more than the highest so far.
    """
    if version.environment is Environment.PREVIEW:
        return None
    if version.rollback_of is None:
        return highest_number(tx, version.project_id, version.app_name) + 1
    return _brought_back(tx, version)


def _brought_back(tx: Transaction, rollback: Deployment) -> int | None:
    """The number of the newest version with the rollback's commit."""
    earlier = _numbers(rollback.project_id, rollback.app_name).where(Deployment.commit_sha == rollback.commit_sha)
    return tx.session.scalars(earlier.order_by(Deployment.version.desc()).limit(1)).first()


def highest_number(tx: Transaction, project_id: str, app_name: str) -> int:
    """The number of the newest version that the environment ever had; 0 if it had none."""
    numbers = _numbers(project_id, app_name).order_by(Deployment.version.desc())
    return tx.session.scalars(numbers.limit(1)).first() or 0


def _numbers(project_id: str, app_name: str) -> Select[int | None]:
    return select(Deployment.version).where(*_healthy(project_id, app_name), Deployment.version.is_not(None))


def default_target(tx: Transaction, live: Deployment) -> Deployment | None:
    """The newest healthy version, other than the live one, that was not taken back; None if there is none."""
    return tx.find(
        select(Deployment)
        .where(
            *_healthy(live.project_id, live.app_name),
            Deployment.rollback_of.is_(None),
            Deployment.taken_back_at.is_(None),
            Deployment.commit_sha != live.commit_sha,
        )
        .order_by(Deployment.version.desc())
        .limit(1)
    )


def blocked(tx: Transaction, target: Deployment) -> str | None:
    """Why the version can't be rolled back to: the reason declared by a version that ran after it. None if it can.

    A declaration holds even if later versions do not repeat it, because the data was changed by then.
    """
    later = _deliveries(target.project_id, target.app_name).where(_after(delivery_position_of(tx, target)))
    # The commits delivered after the target's. If there are too many, the version was not compared with the target.
    between: set[str] = set()
    for version in tx.session.execute(later.order_by(Deployment.version)):
        if version.barrier is not None:
            was_compared = len(between - {version.commit_sha}) < MOST_COMPARED
            if not was_compared or target.commit_sha in version.barrier.blocked:
                return f"{version.barrier.reason} (declared by {version.commit_sha[:12]})"
        if version.commit_sha == target.commit_sha:
            between.clear()
        else:
            between.add(version.commit_sha)
    return None


def compared(tx: Transaction, version: Deployment) -> tuple[str, ...]:
    """The commits to compare with what the version declares about rollbacks: the newest MOST_COMPARED that were
    delivered to its environment, other than its own, newest first.
    """
    query = (
        select(Deployment.commit_sha)
        .where(
            *_healthy(version.project_id, version.app_name),
            Deployment.rollback_of.is_(None),
            Deployment.commit_sha != version.commit_sha,
        )
        .group_by(Deployment.commit_sha)
        .order_by(func.max(Deployment.version).desc())
        .limit(MOST_COMPARED)
    )
    return tuple(tx.session.scalars(query))


def tasks_between(tx: Transaction, target: Deployment, live: Deployment) -> list[str]:
    """Ids of the tasks delivered after the target, up to the live version: a rollback takes these back."""
    after, upto = delivery_position_of(tx, target), delivery_position_of(tx, live)
    between = _deliveries(live.project_id, live.app_name).where(_after(after), ~_after(upto)).subquery()
    query = (
        select(GroupMember.task_id)
        .join(between, between.c.task_group_id == GroupMember.group_id)
        .where(GroupMember.removed_reason.is_(None))
        .order_by(between.c.version, GroupMember.position)
    )
    return list(dict.fromkeys(tx.session.scalars(query)))


def commits_between(tx: Transaction, target: Deployment, live: Deployment) -> list[str]:
    """The versions delivered after the target, up to the live one, oldest first: a rollback takes these back."""
    between = _deliveries(live.project_id, live.app_name).where(
        _after(delivery_position_of(tx, target)),
        ~_after(delivery_position_of(tx, live)),
        Deployment.commit_sha != target.commit_sha,
    )
    rows = tx.session.execute(between.order_by(Deployment.version))
    return list(dict.fromkeys(row.commit_sha for row in rows))


def taken_back(tx: Transaction, project_id: str) -> TakenBack | None:
    """What production delivered and does not run now, read from the database each time; None if nothing."""
    production = Environment.PRODUCTION.value
    live = tx.find(select(Deployment).where(Deployment.live_key == f"{project_id}:{production}"))
    if live is None:
        return None
    later = _deliveries(project_id, production).where(
        _after(delivery_position_of(tx, live)), Deployment.commit_sha != live.commit_sha
    )
    rows = tx.session.execute(later.order_by(Deployment.version)).all()
    if not rows:
        return None
    since = max((row.taken_back_at for row in rows if row.taken_back_at is not None), default=live.created_at)
    return TakenBack(rows[-1].commit_sha, since, tuple(row.task_group_id for row in rows if row.task_group_id))


def groups_moved_by(tx: Transaction, rollback: Deployment) -> tuple[list[str], list[str]]:
    """Ids of the groups that the rollback removes from production, and of those that it returns there."""
    point = delivery_position_of(tx, rollback)
    line = _deliveries(rollback.project_id, rollback.app_name).subquery()
    # A group is reverted when the version that reverts it was made.
    upto = _deliveries(rollback.project_id, rollback.app_name).where(~_after(point)).subquery()
    is_reverted = TaskGroup.reverted_at.is_not(None) & TaskGroup.reverted_at.in_(select(upto.c.created_at))
    is_out = or_(_after(point, line.c), is_reverted)
    is_in = and_(~_after(point, line.c), ~is_reverted)
    groups = select(TaskGroup.id).join(line, line.c.task_group_id == TaskGroup.id)
    taken = groups.where(is_out, TaskGroup.rolled_back_at.is_(None))
    back = groups.where(is_in, TaskGroup.rolled_back_at.is_not(None))
    return list(tx.session.scalars(taken)), list(tx.session.scalars(back))


def mark_taken_back(tx: Transaction, rollback: Deployment) -> None:
    """Mark every version delivered after the rollback's version as taken back, and that version as not taken back."""
    later = _deliveries(rollback.project_id, rollback.app_name).where(_after(delivery_position_of(tx, rollback)))
    commits = {row.commit_sha for row in tx.session.execute(later)} - {rollback.commit_sha}
    healthy = _healthy(rollback.project_id, rollback.app_name)
    for condition, value in (
        (Deployment.commit_sha.in_(commits) & Deployment.taken_back_at.is_(None), rollback.created_at),
        (Deployment.commit_sha == rollback.commit_sha, None),
    ):
        tx.session.execute(
            update(Deployment)
            .where(*healthy, condition)
            .values(taken_back_at=value)
            .execution_options(synchronize_session=False)
        )


def _healthy(project_id: str, app_name: str) -> tuple[ColumnElement[bool], ...]:
    return (
        Deployment.project_id == project_id,
        Deployment.app_name == app_name,
        Deployment.was_healthy.is_(True),
    )


def _deliveries(project_id: str, app_name: str) -> DeliveryQuery:
    """The delivery order as columns, so that each query reads the database and not the session's rows."""
    return select(
        Deployment.id, Deployment.created_at, Deployment.version, Deployment.commit_sha, Deployment.task_group_id,
        Deployment.taken_back_at, Deployment.barrier,
    ).where(*_healthy(project_id, app_name), Deployment.rollback_of.is_(None))  # fmt: skip


def _after(point: DeliveryPosition, of: Any = Deployment) -> ColumnElement[bool]:
    return false() if point.version is None else of.version > point.version
