"""Tests that are red and green on one commit, and those whose failures a person lets count for nothing for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from common.errors import Conflict, NotFound
from common.events.catalogue import QuarantineBegun, QuarantineEnded
from common.jobs.outbox import actor
from common.models.delivery import FlakyTest
from common.models.project import Project
from common.services.requests.access import Caller
from common.transaction import Snapshot, Transaction, transactional
from common.values.states import Role
from common.values.testing.test_report import TestReport, TestResult

QUARANTINED_TESTS = "quarantined_tests"
"""The code of a check of tests of which only some in quarantine fail. If it failed, nothing tells whether others do."""
MOST_KEPT = 500
"""Flaky tests of a project. The one that was last seen longest ago gives way."""
MOST_DAYS = 90
RAN = (TestResult.PASSED, TestResult.FAILED)


@dataclass(frozen=True)
class ShownTest:
    """A flaky test as people see it: of a quarantine that is over, nothing is left. See FlakyTest.

    counted_on: how many flakes the project's rule counts now.
    """

    name: str
    flaked_on: int
    ran_on: int
    last_at: datetime | None
    last_sha: str | None
    failed_in_quarantine: int
    counted_on: int
    quarantined_until: datetime | None = None
    quarantined_by: str | None = None
    quarantine_reason: str | None = None
    is_quarantined_by_rule: bool = False


def shown(row: FlakyTest, now: datetime) -> ShownTest:
    about = (row.name, row.flaked_on, row.ran_on, row.last_at, row.last_sha, row.failed_in_quarantine)
    if not is_quarantined(row, now):
        return ShownTest(*about, counted_on(row, now))
    until, by, reason = row.quarantined_until, row.quarantined_by, row.quarantine_reason
    return ShownTest(*about, counted_on(row, now), until, by, reason, row.is_quarantined_by_rule)


def is_quarantined(row: FlakyTest | ShownTest, now: datetime) -> bool:
    return row.quarantined_until is not None and row.quarantined_until > now


def counted_on(row: FlakyTest, now: datetime) -> int:
    """How many flakes of the test the project's rule counts: none from before its last quarantine ended."""
    return row.evidence.counted(now, row.evidence_after) if row.evidence is not None else 0


def quarantined(read: Snapshot | Transaction, project_id: str) -> frozenset[str]:
    """The names of the tests whose failures count for nothing now."""
    query = select(FlakyTest.name).where(FlakyTest.project_id == project_id, FlakyTest.quarantined_until > read.now())
    return frozenset(read.session.scalars(query))


@transactional
def quarantine(tx: Transaction, project_id: str, name: str, *, days: int, reason: str, by: Caller) -> ShownTest:
    """Let failures of the test count for nothing for so many days; again: from now on. The caller answers for it.

    NotFound for a test that was never flaky. Conflict if the project's mostQuarantined are in quarantine.
    """
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    row = row_of(tx, project_id, name)
    if row is None:
        raise NotFound(f"flaky test {name}")
    others = quarantined(tx, project_id) - {name}
    if len(others) >= project.most_quarantined:
        raise Conflict(f"{len(others)} tests are in quarantine, and the project's mostQuarantined allows no more")
    begin_quarantine(tx, row, days=days, reason=reason, who=actor())
    return shown(row, tx.now())


def begin_quarantine(
    tx: Transaction, row: FlakyTest, *, days: int, reason: str, who: str, is_by_rule: bool = False
) -> None:
    """Let the test's failures count for nothing from now on. who: answers for that. The project is locked."""
    until = tx.now() + timedelta(days=days)
    row.quarantined_until, row.quarantined_by, row.quarantine_reason = until, who, reason
    row.is_quarantined_by_rule = is_by_rule
    # When the quarantine has ended, only new flakes lead to another one by the rule.
    row.evidence_after = until
    tx.record(
        QuarantineBegun(
            feed=row.project_id, project_id=row.project_id, test=row.name, reason=reason,
            until=until.isoformat(timespec="seconds").replace("+00:00", "Z"), owner=who if is_by_rule else None,
        )
    )  # fmt: skip


@transactional
def release(tx: Transaction, project_id: str, name: str, *, by: Caller) -> ShownTest:
    """End the test's quarantine. Safe to repeat. NotFound for a test that was never flaky.

    The project's rule puts it there again only for flakes after that.
    """
    by.require_in(tx, project_id, Role.MAINTAINER)
    tx.lock(Project, project_id)
    row = row_of(tx, project_id, name)
    if row is None:
        raise NotFound(f"flaky test {name}")
    now = tx.now()
    if is_quarantined(row, now):
        row.evidence_after = now
        tx.record(QuarantineEnded(feed=project_id, project_id=project_id, test=name))
    row.quarantined_until = row.quarantined_by = row.quarantine_reason = None
    row.is_quarantined_by_rule = False
    return shown(row, now)


def note_flakes(tx: Transaction, project_id: str, names: Collection[str], commit_sha: str) -> None:
    """Note that these tests were red and green on the commit: once for each commit."""
    for name in sorted(names):
        # Locked: another worker may note the same test on another commit.
        row = tx.session.get(FlakyTest, (project_id, _digest(name)), with_for_update=True)
        if row is None:
            row = FlakyTest(
                project_id=project_id, name_digest=_digest(name), name=name, flaked_on=0, ran_on=1, last_sha=None
            )
            tx.add(row)
        if row.last_sha != commit_sha:
            row.flaked_on, row.last_sha, row.last_at = row.flaked_on + 1, commit_sha, tx.now()
    if names:
        _forget_oldest(tx, project_id)


def count_run(tx: Transaction, project_id: str, report: TestReport) -> None:
    """Count that the known flaky tests in this report ran on one more commit, and those in quarantine that failed."""
    query = select(FlakyTest.name, FlakyTest.name_digest).where(FlakyTest.project_id == project_id)
    known = tx.session.execute(query).all()
    ran, failed = (report.names(*results) if known else set() for results in (RAN, [TestResult.FAILED]))
    # Added up in the database: another worker may count the run on another commit.
    counts = update(FlakyTest).where(FlakyTest.project_id == project_id).execution_options(synchronize_session=False)
    if counted := [key for name, key in known if name in ran]:
        chosen = counts.where(FlakyTest.name_digest.in_(counted))
        tx.session.execute(chosen.values(ran_on=FlakyTest.ran_on + 1))
    if counted := [key for name, key in known if name in failed]:
        chosen = counts.where(FlakyTest.name_digest.in_(counted), FlakyTest.quarantined_until > tx.now())
        tx.session.execute(chosen.values(failed_in_quarantine=FlakyTest.failed_in_quarantine + 1))


def _forget_oldest(tx: Transaction, project_id: str) -> None:
    tx.session.flush()
    query = select(FlakyTest).where(FlakyTest.project_id == project_id, FlakyTest.quarantined_until.is_(None))
    for row in tx.all(query.order_by(FlakyTest.last_at.desc(), FlakyTest.name_digest).offset(MOST_KEPT).limit(100)):
        tx.session.delete(row)


def row_of(at: Snapshot | Transaction, project_id: str, name: str) -> FlakyTest | None:
    return at.session.get(FlakyTest, (project_id, _digest(name)))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
