"""Runs the tests that a claimed commit adds or changes on the commit below, with only its files of tests laid over it:
what passes there shows nothing of the change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from common.providers.forge import Change
from common.providers.runtime import Runtime
from common.services.proof.verification import CheckResult, ProofPlan
from common.values.testing.check import Check, CheckPhase, CheckState, Overlay
from common.values.testing.test_report import TestReport, TestResult
from workers.checkouts.overlays import is_too_large
from workers.proof.base_tests import BaseCommit
from workers.proof.file_runs import files_of, forget_files, run_files
from workers.proof.lost_tests import RAN
from workers.proof.sentences import first_of

MOST_OVERLAID = 500


@dataclass(frozen=True)
class NewTests:
    """Safe to repeat: what was run is kept by the runtime until `forget`."""

    runtime: Runtime
    plan: ProofPlan
    below: BaseCommit

    def check(self, check: Check, names: Collection[str], changes: Sequence[Change]) -> Iterator[CheckResult]:
        """Yield the check `new_tests`; nothing if there are no such tests.

        names: of the new and changed tests. changes: of files of tests. Raises ProviderUnavailable if the command can't
        be started yet.
        """
        if not names:
            return
        taken = sorted({change.after.path for change in changes if change.after is not None})
        gone = {change.before.path for change in changes if change.before is not None} - set(taken)
        overlay = Overlay(check.commit, tuple(taken), tuple(sorted(gone)))
        if len(taken) + len(gone) > MOST_OVERLAID or is_too_large(overlay):
            yield CheckResult("new_tests", "skipped", "Too many files of tests changed to run them without the change.")
            return
        control = replace(check, commit=self.below.sha(), check_id=_control_id(check.check_id), overlay=overlay)
        state = run_files(self.runtime, control, files_of(names, taken))
        if state.phase is CheckPhase.RUNNING:
            yield CheckResult("new_tests", "running", "The new tests run once more without the change.")
            return
        yield self._judged(names, state)

    def forget(self, check_id: str) -> None:
        """Have the runtime forget the runs of this kind for the check of this id. Safe to repeat."""
        forget_files(self.runtime, self.plan.location.space, _control_id(check_id))

    def _judged(self, names: Collection[str], state: CheckState) -> CheckResult:
        report = state.report or TestReport(problem="")
        passed = sorted(set(names) & report.names(TestResult.PASSED))
        failed = len(set(names) & report.names(TestResult.FAILED))
        unable = len(names) - len(set(names) & report.names(*RAN))
        facts = {"new": len(names), "passing": len(passed), "failing": failed, "unable": unable}
        if not passed:
            return CheckResult("new_tests", "passed", _told(failed, unable), log=state.log, facts=facts)
        named = first_of(passed)
        message = (
            f"One new or changed test passes without the change, so it proves nothing: {named}."
            if len(passed) == 1
            else f"{len(passed)} new or changed tests pass without the change, so they prove nothing: {named}."
        )
        log = "\n".join(passed)
        if self.plan.tests_first == "warn":
            return CheckResult("new_tests", "passed", message, code="tests_prove_nothing", log=log, facts=facts)
        return CheckResult("new_tests", "failed", message, code="tests_prove_nothing", log=log, facts=facts)


def _told(failed: int, unable: int) -> str:
    """What the new and changed tests do without the change, where none of them passes.

    >>> _told(0, 1)
    "One test is new or changed; it can't run without the change."
    >>> _told(1, 2)
    "3 tests are new or changed; one fails without the change, 2 can't run without the change."
    """
    count = failed + unable
    if count == 1:
        return (
            "One test is new or changed; it fails without the change."
            if failed
            else "One test is new or changed; it can't run without the change."
        )
    parts = []
    if failed:
        parts.append("one fails without the change" if failed == 1 else f"{failed} fail without the change")
    if unable:
        parts.append("one can't run without the change" if unable == 1 else f"{unable} can't run without the change")
    return f"{count} tests are new or changed; {', '.join(parts)}."


def _control_id(check_id: str) -> str:
    return f"{check_id}-control"
