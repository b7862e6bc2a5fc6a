"""Which tests ran on a commit, and how: stored once for each commit and test command, for the proofs that compare with
it. A test that was red and green on one commit is noted as flaky.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

from sqlalchemy import select

from common.models.delivery import TestedCommit
from common.models.project import Project
from common.services.project_settings.variables import mask_of_project
from common.services.proof import auto_quarantine, flaky_tests
from common.services.upkeep.purging import purge
from common.transaction import Transaction, snapshot, transactional
from common.values.testing.check import JUDGED_BY, Check, CheckPhase, CheckState
from common.values.testing.test_report import TestCase, TestReport, TestResult

KEPT_DAYS = 90
LONGEST_LOG = 20_000
AT_ONCE = 50
"""Reports that a purge deletes at once: one of many tests is some megabytes."""
_READ_BY = "each-call"
"""Which reports of a command count. Stored ones have it in their keys: versions that read the last report of gotestsum
alone, no report that pytest's own option names, and what other runners' tests start, stored others."""
_RULES = ((JUDGED_BY, _READ_BY), (JUDGED_BY,), ())
"""Those of this version and of older ones."""


@dataclass(frozen=True)
class Tested:
    """What is known of a commit's tests. report: each test with its best result. passed: the command did, in any run.

    runs: how often it was run. reason, log: of the last run, masked; None if it passed.
    """

    __test__ = False

    report: TestReport
    passed: bool
    runs: int
    reason: str | None = None
    log: str | None = None


def digest_of(check: Check) -> str:
    """SHA-256 of what decides which tests run and are reported, beside the commit: the key of a stored report."""
    return _digest(check, is_by_setup_below=check.overlay is not None)


def _digest(check: Check, *, is_by_setup_below: bool, rules: Sequence[str] = _RULES[0]) -> str:
    parts = [*rules, check.command, check.needs.setup_command, check.test_report]
    parts += [json.dumps(check.left_out)] if check.left_out else []
    return hashlib.sha256(json.dumps(parts + [True] * is_by_setup_below).encode()).hexdigest()


def read_tested(check: Check) -> Tested | None:
    """What is known of the check's commit; None if its tests were never run by these commands, or the settings have
    changed since."""
    known = _read(check, digest_of(check))
    return known if known is not None and known.runs else None


def read_report_of_proof(check: Check) -> TestReport | None:
    """The report of the commit's tests, also if they ran as the commit below defines them, and one that an older
    version stored; None if there is none."""
    choices = product((False, True), _RULES)
    known = _read(check, *(_digest(check, is_by_setup_below=below, rules=rules) for below, rules in choices))
    return None if known is None else known.report


def _read(check: Check, *digests: str) -> Tested | None:
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
        return None if row is None else _tested(row)


def find_tested(tx: Transaction, check: Check) -> Tested | None:
    """As read_tested, within a transaction."""
    row = tx.session.get(TestedCommit, (check.space.project_id, check.commit, digest_of(check)))
    return _tested(row) if row is not None and row.runs else None


def _tested(row: TestedCommit) -> Tested:
    return Tested(_report(row), row.passed, row.runs, row.reason, row.log)


def _report(row: TestedCommit) -> TestReport:
    if row.report is None:
        return TestReport(problem=row.problem or "no file was found")
    return TestReport(tuple(TestCase(name, TestResult(result), time) for name, result, time in json.loads(row.report)))


def record_run(check: Check, state: CheckState, *, run: int = 1, is_landed: bool = False) -> Tested:
    """Add a run of the check that has ended, secrets masked, to what is known of its commit, and return all of that.

    run: how many there were, with this one. is_landed: it is a commit of the default branch. Safe to repeat. A test has
    its best result: red once and green once, it is flaky and counts as green.
    """
    # Looked at first: a proof that waits comes by each second with the same run.
    known = read_tested(check)
    if known is not None and known.runs >= run and known.passed == (state.phase is CheckPhase.PASSED):
        return known
    return _record(check, state, run, is_landed=is_landed)


@transactional
def _record(tx: Transaction, check: Check, state: CheckState, run: int, *, is_landed: bool) -> Tested:
    project_id = check.space.project_id
    if is_landed:
        # Before any other row: what is noted of a flake may put the test into quarantine.
        tx.lock(Project, project_id)
    mask = mask_of_project(tx, project_id)
    ran = Tested(
        _masked(state.report or TestReport(problem="there is none of this runtime"), mask.lines),
        state.phase is CheckPhase.PASSED, run,
    )  # fmt: skip
    if not ran.passed:
        ran = replace(ran, reason=mask(state.reason or ""), log=mask.end_of(state.log)[-LONGEST_LOG:])
    row = tx.session.get(TestedCommit, (project_id, check.commit, digest_of(check)))
    if row is None:
        row = TestedCommit(
            project_id=project_id, commit_sha=check.commit, command_digest=digest_of(check), at=tx.now(), runs=0
        )
        if not check.left_out:
            # Else its commit was counted by the run before, of all tests.
            flaky_tests.count_run(tx, project_id, ran.report)
        _put(row, ran)
        tx.add(row)
        return ran
    if not row.runs:
        _put(row, ran)
        return ran
    both, flaky = _together(_tested(row), ran)
    _put(row, both)
    flaky_tests.note_flakes(tx, project_id, flaky, check.commit)
    if is_landed:
        auto_quarantine.count_flakes(tx, project_id, flaky, check.commit, task_id=None)
    return both


def _put(row: TestedCommit, tested: Tested) -> None:
    report, problem = tested.report, tested.report.problem
    tests = [[test.name, test.result.value, test.seconds] for test in report.tests]
    row.report = None if problem else json.dumps(tests, ensure_ascii=False)
    row.problem, row.passed, row.runs = problem, tested.passed, tested.runs
    row.reason, row.log = tested.reason, tested.log


def _together(old: Tested, new: Tested) -> tuple[Tested, list[str]]:
    """What both runs say, and the names of the tests that were red in one and green in the other."""
    passed, runs = old.passed or new.passed, max(old.runs, new.runs)
    last = new if not new.passed else old
    said = {"reason": None, "log": None} if passed else {"reason": last.reason, "log": last.log}
    if not (old.report.is_usable and new.report.is_usable):
        report = new.report if new.report.is_usable else old.report
        return Tested(report, passed, runs, **said), []
    results = {test.name: test for test in _last_tries(old).tests}
    flaky = []
    for test in _last_tries(new).tests:
        known = results.setdefault(test.name, test)
        if {known.result, test.result} == {TestResult.PASSED, TestResult.FAILED}:
            flaky.append(test.name)
            results[test.name] = replace(test, result=TestResult.PASSED)
    kept = {test.name for report in (old.report, new.report) for test in report.without_failed_tries().tests}
    report = TestReport(tuple(test for name, test in results.items() if name in kept))
    return Tested(report, passed, runs, **said), flaky


def _last_tries(tested: Tested) -> TestReport:
    """Its report; if the command passed, what failed and then passed is one test, as it was only tried again."""
    return tested.report.without_failed_tries() if tested.passed else tested.report


def with_masked_names(project_id: str, state: CheckState) -> CheckState:
    """The state with secrets masked in the names of its tests: these are stored, compared and in quarantine so."""
    if state.report is None or not state.report.tests:
        return state
    with snapshot() as read:
        mask = mask_of_project(read, project_id)
    return replace(state, report=_masked(state.report, mask.lines))


def _masked(report: TestReport, mask: Callable[[list[str]], Iterable[str]]) -> TestReport:
    names = mask([test.name for test in report.tests])
    tests = tuple(TestCase(name, test.result, test.seconds) for name, test in zip(names, report.tests, strict=True))
    problem = None if report.problem is None else "".join(mask([report.problem]))
    return TestReport(tests, problem)


def purge_reports() -> int:
    """Delete the reports that were stored KEPT_DAYS ago. Returns how many. Safe to repeat."""
    with snapshot() as read:
        old = read.now() - timedelta(days=KEPT_DAYS)
    return purge(TestedCommit.commit_sha, TestedCommit.at < old, order=TestedCommit.at, at_once=AT_ONCE)
