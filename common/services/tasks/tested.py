"""Which tests ran on a commit: stored once for each commit and test command, for the proofs that compare with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import timedelta

from sqlalchemy import delete, select

from common.models.delivery import TestedCommit
from common.services.projects.variables import mask_of_project
from common.transaction import Transaction, snapshot, transactional
from common.values.check import Check, CheckPhase, CheckState
from common.values.test_report import TestCase, TestReport, TestResult

KEPT_DAYS = 90


def digest_of(check: Check) -> str:
    """SHA-256 of what decides which tests run and are reported, beside the commit: the key of a stored report."""
    return _digest(check, is_by_setup_below=check.overlay is not None)


def _digest(check: Check, *, is_by_setup_below: bool) -> str:
    parts = [check.command, check.needs.setup_command, check.test_report]
    return hashlib.sha256(json.dumps(parts + [True] * is_by_setup_below).encode()).hexdigest()


def read_report(check: Check) -> TestReport | None:
    """The stored report of the check's commit; None if there is none for these commands."""
    return _read(check, digest_of(check))


def read_report_of_proof(check: Check) -> TestReport | None:
    """The same, also if its tests ran as the commit below defines them."""
    return _read(check, *(_digest(check, is_by_setup_below=choice) for choice in (False, True)))


def _read(check: Check, *digests: str) -> TestReport | None:
    with snapshot() as read:
        row = read.find(
            select(TestedCommit)
            .where(
                TestedCommit.project_id == check.space.project_id,
                TestedCommit.commit_sha == check.commit,
                TestedCommit.command_digest.in_(digests),
            )
            .order_by(TestedCommit.at.desc())
        )
        return None if row is None else report_of(row)


def report_of(row: TestedCommit) -> TestReport:
    if row.report is None:
        return TestReport(problem=row.problem or "no file was found")
    return TestReport(tuple(TestCase(name, TestResult(result), time) for name, result, time in json.loads(row.report)))


@transactional
def record_report(tx: Transaction, check: Check, state: CheckState) -> TestReport | None:
    """Store the report of a check that has ended, secrets masked, and return it; None if it has none.

    Safe to repeat: what was stored first stays.
    """
    if state.report is None:
        return None
    key = (check.space.project_id, check.commit, digest_of(check))
    known = tx.session.get(TestedCommit, key)
    if known is not None:
        return report_of(known)
    report = _masked(state.report, mask_of_project(tx, check.space.project_id).lines)
    problem = report.problem
    tests = [[test.name, test.result.value, test.seconds] for test in report.tests]
    row = TestedCommit(
        project_id=key[0], commit_sha=key[1], command_digest=key[2], passed=state.phase is CheckPhase.PASSED,
        report=None if problem else json.dumps(tests, ensure_ascii=False), problem=problem, at=tx.now(),
    )  # fmt: skip
    tx.add(row)
    return report


def _masked(report: TestReport, mask: Callable[[list[str]], Iterable[str]]) -> TestReport:
    names = mask([test.name for test in report.tests])
    tests = tuple(TestCase(name, test.result, test.seconds) for name, test in zip(names, report.tests, strict=True))
    problem = None if report.problem is None else "".join(mask([report.problem]))
    return TestReport(tests, problem)


@transactional
def purge_reports(tx: Transaction) -> None:
    """Delete the reports that were stored KEPT_DAYS ago."""
    old = tx.now() - timedelta(days=KEPT_DAYS)
    tx.session.execute(delete(TestedCommit).where(TestedCommit.at < old).execution_options(synchronize_session=False))
