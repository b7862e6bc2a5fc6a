"""The test runs of groups, kept with their logs so that people can read what the merge train did. Nothing reads them to
decide anything.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select

from common.models.delivery import GroupTest, TaskGroup
from common.services.lifecycle.group_membership import commit_at, members_of
from common.services.upkeep.purging import purge
from common.settings import settings
from common.transaction import Transaction, snapshot

MOST_TESTS = 100
"""Test runs kept for each group: the search in a group of 100 tasks takes fewer than 25."""
LONGEST_LOG = 30_000


def store_test_run(
    tx: Transaction,
    group: TaskGroup,
    position: int,
    *,
    passed: bool,
    reason: str | None,
    log: str | None,
    is_known: bool = False,
) -> None:
    """Store one run, before the group loses a member over it. reason, log: masked. The oldest ones give way."""
    tx.add(
        GroupTest(
            group_id=group.id, attempt=group.attempt, position=position, commit_sha=commit_at(tx, group, position),
            task_id=members_of(tx, group)[position - 1].task_id if position else None, passed=passed,
            is_known=is_known, reason=None if passed else (reason or "the tests failed"),
            log=(log or "")[-LONGEST_LOG:], at=tx.now(),
        )
    )  # fmt: skip
    tx.session.flush()
    oldest = tx.session.scalars(
        select(GroupTest.id).where(GroupTest.group_id == group.id).order_by(GroupTest.id.desc()).offset(MOST_TESTS)
    ).first()
    if oldest is not None:
        tx.session.execute(
            delete(GroupTest)
            .where(GroupTest.group_id == group.id, GroupTest.id <= oldest)
            .execution_options(synchronize_session=False)
        )


def purge_tests() -> int:
    """Delete the runs that ended before AIWORKER_KEEP_DAYS. Returns how many. Safe to repeat."""
    with snapshot() as read:
        old = read.now() - timedelta(days=settings().retention.log_days)
    return purge(GroupTest.id, GroupTest.at < old)
