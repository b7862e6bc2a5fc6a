"""Tests that are red and green on one commit, and those whose failures a person lets count for nothing for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from common.errors import Conflict, NotFound
from common.events import QuarantineBegun, QuarantineEnded
from common.models.delivery import FlakyTest
from common.models.project import Project
from common.outbox import actor
from common.services.access import Caller
from common.states import Role
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.red_base import RedBase
from common.values.test_report import TestReport, TestResult

MOST_KEPT = 500
"""Flaky tests of a project. The one that was last seen longest ago gives way."""
MOST_DAYS = 90
RAN = (TestResult.PASSED, TestResult.FAILED)


@dataclass(frozen=True)
class TestsOfProject:
    """red_base: see Project. flaky: those in quarantine first, then the one seen last."""

    __test__ = False

    red_base: RedBase | None
    most_quarantined: int
    flaky: Sequence[FlakyTest]
    now: datetime


def read_tests(project_id: str, *, by: Caller) -> TestsOfProject:
    """What is known of the project's tests beyond single commits."""
    with snapshot() as read:
        project = by.require_in(read, project_id, Role.VIEWER)
        now = read.now()
        rows = read.all(select(FlakyTest).where(FlakyTest.project_id == project_id))
    order = sorted(rows, key=lambda row: row.last_at.timestamp() if row.last_at else 0.0, reverse=True)
    order.sort(key=lambda row: not is_quarantined(row, now))
    return TestsOfProject(project.red_base, project.most_quarantined, order, now)


@dataclass(frozen=True)
class ShownTest:
    """A flaky test as people see it: of a quarantine that is over, nothing is left. See FlakyTest."""

    name: str
    flaked_on: int
    ran_on: int
    last_at: datetime | None
    last_sha: str | None
    quarantined_until: datetime | None = None
    quarantined_by: str | None = None
    quarantine_reason: str | None = None


def shown(row: FlakyTest, now: datetime) -> ShownTest:
    about = (row.name, row.flaked_on, row.ran_on, row.last_at, row.last_sha)
    if not is_quarantined(row, now):
        return ShownTest(*about)
    return ShownTest(*about, row.quarantined_until, row.quarantined_by, row.quarantine_reason)


def is_quarantined(row: FlakyTest, now: datetime) -> bool:
    return row.quarantined_until is not None and row.quarantined_until > now


def quarantined(read: Snapshot | Transaction, project_id: str) -> frozenset[str]:
    """The names of the tests whose failures count for nothing now."""
    query = select(FlakyTest.name).where(FlakyTest.project_id == project_id, FlakyTest.quarantined_until > read.now())
    return frozenset(read.session.scalars(query))


@transactional
def quarantine(tx: Transaction, project_id: str, name: str, *, days: int, reason: str, by: Caller) -> FlakyTest:
    """Let failures of the test count for nothing for so many days; again: from now on. The caller answers for it.

    NotFound for a test that was never flaky. Conflict if the project's mostQuarantined are in quarantine.
    """
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    row = _row(tx, project_id, name)
    if row is None:
        raise NotFound(f"flaky test {name}")
    others = quarantined(tx, project_id) - {name}
    if len(others) >= project.most_quarantined:
        raise Conflict(f"{len(others)} tests are in quarantine, and the project's mostQuarantined allows no more")
    row.quarantined_until = tx.now() + timedelta(days=days)
    row.quarantined_by, row.quarantine_reason = actor(), reason
    until = row.quarantined_until.isoformat(timespec="seconds").replace("+00:00", "Z")
    tx.record(QuarantineBegun(feed=project_id, project_id=project_id, test=name, until=until, reason=reason))
    return row


@transactional
def release(tx: Transaction, project_id: str, name: str, *, by: Caller) -> FlakyTest:
    """End the test's quarantine. Safe to repeat. NotFound for a test that was never flaky."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    tx.lock(Project, project_id)
    row = _row(tx, project_id, name)
    if row is None:
        raise NotFound(f"flaky test {name}")
    if is_quarantined(row, tx.now()):
        tx.record(QuarantineEnded(feed=project_id, project_id=project_id, test=name))
    row.quarantined_until = row.quarantined_by = row.quarantine_reason = None
    return row


def note_flakes(tx: Transaction, project_id: str, names: Collection[str], commit_sha: str) -> None:
    """Note that these tests were red and green on the commit: once for each commit."""
    for name in sorted(names):
        row = _row(tx, project_id, name)
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
    """Count that the known flaky tests in this report ran on one more commit."""
    rows = tx.all(select(FlakyTest).where(FlakyTest.project_id == project_id))
    ran = report.names(*RAN) if rows else set()
    for row in rows:
        if row.name in ran:
            row.ran_on += 1


def _forget_oldest(tx: Transaction, project_id: str) -> None:
    tx.session.flush()
    query = select(FlakyTest).where(FlakyTest.project_id == project_id, FlakyTest.quarantined_until.is_(None))
    for row in tx.all(query.order_by(FlakyTest.last_at.desc(), FlakyTest.name_digest).offset(MOST_KEPT).limit(100)):
        tx.session.delete(row)


def _row(tx: Transaction, project_id: str, name: str) -> FlakyTest | None:
    return tx.session.get(FlakyTest, (project_id, _digest(name)))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
