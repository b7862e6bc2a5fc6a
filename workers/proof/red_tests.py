"""Whose fault it is that tests of a claimed commit fail: the commit's, the commit's below, or chance.

What failed is run again on the same commit. What is green then is flaky, and the commit goes on if two of three runs
are green and the test is not its own. What stays red is compared with the commit below. A run that fails without a red
test is judged by its exit code. Where only tests in quarantine fail, a run without them is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from common.providers.runtime import Runtime
from common.services.proof import auto_quarantine, red_base, test_results
from common.services.proof.flaky_commits import OWN_FLAKY
from common.services.proof.flaky_tests import QUARANTINED_TESTS
from common.services.proof.test_results import Tested
from common.services.proof.verification import CheckResult, ProofPlan
from common.values.testing.check import Check, CheckEnd, CheckPhase, CheckState
from common.values.testing.test_report import TestReport, TestResult
from workers.execution.provider_calls import forget_check, run_check
from workers.proof.base_tests import BaseCommit
from workers.proof.lost_tests import combined
from workers.proof.quarantined_runs import (
    MOST_RUNS,
    failed_in_quarantine,
    forget_without,
    run_without,
    without_id,
    without_quarantined,
)
from workers.proof.sentences import first_of

FLAKY = "flaky_tests"
RUNS = 3


@dataclass(frozen=True)
class Verdict:
    """result: the check `tests`. report: of the tests, each with its best result, if the proof goes on; else None.

    without: the check that left out the tests in quarantine, if the result is that of its run.
    """

    result: CheckResult
    report: TestReport | None = None
    without: Check | None = None


@dataclass(frozen=True)
class RedTests:
    """own: of a base's and the head's report, the names of the tests that the commit adds or changes."""

    runtime: Runtime
    plan: ProofPlan
    below: BaseCommit
    own: Callable[[TestReport, TestReport], Collection[str]]

    def judge(self, check: Check, first: CheckState, *, may_report: bool) -> Verdict:
        """The verdict on a commit whose tests failed once. Safe to repeat until it is final.

        Raises ProviderUnavailable if a command can't be started yet.
        """
        if first.code != CheckEnd.EXITED or first.report is None or not may_report:
            return self._by_exit_code(check, first)
        red = self._red(first)
        if not red:
            failed = first.report.names(TestResult.FAILED)
            return self._without_quarantined(check, first) if failed else self._by_exit_code(check, first)
        runs = [first]
        known = test_results.record_run(check, first)
        for number in range(2, RUNS + 1):
            again = run_check(self.runtime, _again(check, number))
            if again.phase is CheckPhase.RUNNING:
                return _running("Some tests fail: they are run again, to tell a flaky one from a broken one.")
            if again.report is None or not (again.report.is_usable and again.report.tests):
                return self._by_exit_code(check, first if again.phase is CheckPhase.PASSED else again)
            if again.phase is not CheckPhase.PASSED and not again.report.names(TestResult.FAILED):
                # Something else than a test fails, such as a step that follows the tests.
                return self._by_exit_code(check, again)
            runs.append(again)
            known = test_results.record_run(check, again, run=number)
            if number == RUNS - 1 and (still := red & self._red(again)):
                return self._by_names(check, runs, still, known)
        return self._by_chance(check, runs, known)

    def repeat(self, check: Check, first: CheckState) -> Verdict | None:
        """The verdict on a commit whose tests passed, where flaky tests of the same task were refused before; None: no
        test fails in RUNS runs. Safe to repeat until it is final.

        Raises ProviderUnavailable if a command can't be started yet.
        """
        runs, known = [first], test_results.record_run(check, first)
        for number in range(2, RUNS + 1):
            again = run_check(self.runtime, _again(check, number))
            if again.phase is CheckPhase.RUNNING:
                return _running(
                    "Tests of this task were flaky before: they are run again, to see whether they still are."
                )
            if again.phase is not CheckPhase.PASSED and not (again.report and again.report.names(TestResult.FAILED)):
                return self._by_exit_code(check, again)
            runs.append(again)
            known = test_results.record_run(check, again, run=number)
        return self._by_chance(check, runs, known) if any(map(self._red, runs)) else None

    def forget(self, check_id: str) -> None:
        """Have the runtime forget the repeated runs of the check of this id. Safe to repeat."""
        space = self.plan.location.space
        forget_without(self.runtime, space, check_id)
        for number in range(2, RUNS + 1):
            for one in (check_id, without_id(check_id)):
                forget_check(self.runtime, space, _again_id(one, number))

    def _red(self, state: CheckState) -> set[str]:
        """The tests that failed. None of a run that passed: there they passed when they were tried again."""
        if state.phase is CheckPhase.PASSED or state.report is None:
            return set()
        return state.report.red() - self.plan.quarantined

    def _by_exit_code(self, check: Check, state: CheckState) -> Verdict:
        """Nothing names the tests that fail: the commit is at fault unless the tests of the commit below fail too."""
        if state.code == CheckEnd.SETUP_FAILED:
            return Verdict(_failed(check, state, f"The tests can't begin: {state.reason}.", "setup_failed"))
        below = self.below.judged(check)
        if below is None:
            return _running("The tests fail: those of the commit below run, to see whether they fail there too.")
        if red_base.is_red(below, self.plan.quarantined):
            return Verdict(_base_is_red(self.plan, state))
        return Verdict(_failed(check, state, f"The tests fail: {state.reason}.", "tests_failed"))

    def _by_names(self, check: Check, runs: Sequence[CheckState], still: Collection[str], known: Tested) -> Verdict:
        """still: the tests that are red in two of the runs."""
        below, state = self.below.judged(check), runs[-1]
        if below is None:
            return _running("The tests fail: those of the commit below run, to see whether they fail there too.")
        if len(runs) < RUNS:
            self._split(check, runs, below, known)
        old = below.report.names(TestResult.FAILED) if red_base.is_red(below, self.plan.quarantined) else set()
        fresh = sorted(set(still) - old)
        if not fresh and below.report.is_usable:
            named = first_of(sorted(still))
            branch = self.plan.location.default_branch
            message = (
                f"One test fails, and it fails on the commit below too, in {branch}: {named}."
                if len(still) == 1
                else f"{len(still)} tests fail, and they fail on the commit below too, in {branch}: {named}."
            )
            message = f"{message}{_hidden(state)}"
            return Verdict(_passed(message, red_base.BASE_IS_RED, state.log, failing=len(still)), known.report)
        others = len(still) - len(fresh)
        rest = f" {others} others fail on the commit below too." if others else ""
        if others == 1:
            rest = " One other fails on the commit below too."
        message = (
            f"The tests fail in {RUNS - 1} of {RUNS} runs: {first_of(fresh)}.{rest}"
            if len(runs) == RUNS
            else f"The tests fail: {first_of(fresh)}.{rest}"
        )
        return Verdict(_failed(check, state, f"{message}{_hidden(state)}", "tests_failed", failing=len(fresh)))

    def _by_chance(self, check: Check, runs: Sequence[CheckState], known: Tested) -> Verdict:
        """Each red test of the first run was green in the second. A third one was made."""
        red = [self._red(state) for state in runs]
        often = {name for name in set[str]().union(*red) if sum(name in names for names in red) > 1}
        if often:
            return self._by_names(check, runs, often, known)
        if all(red):
            # Other tests each time, but no run was green: steps that follow the tests may never have run.
            return self._by_exit_code(check, runs[-1])
        below = self.below.judged(check)
        if below is None:
            return _running("Some tests are flaky: those of the commit below run, to see whether they are new.")
        flaky, own = self._split(check, runs, below, known)
        if own:
            message = f"New or changed tests are red and green on this one commit: {first_of(own)}. Make them reliable."
            return Verdict(_failed(check, runs[0], message, OWN_FLAKY, failing=len(own)))
        if not any(state.phase is CheckPhase.PASSED for state in runs):
            # Tests in quarantine failed in each run.
            return self._without_quarantined(check, runs[-1])
        named = first_of(sorted(flaky))
        message = (
            f"One test is flaky, red and green on this one commit: {named}."
            if len(flaky) == 1
            else f"{len(flaky)} tests are flaky, red and green on this one commit: {named}."
        )
        log = runs[0].log
        return Verdict(_passed(message, FLAKY, log, flaky=len(flaky)), known.report)

    def _split(
        self, check: Check, runs: Sequence[CheckState], below: Tested, known: Tested
    ) -> tuple[set[str], list[str]]:
        """The tests that were red in one of the runs, not in all, and those of them that are the commit's own. The
        others count for the project's rule; if nothing tells which these are, none does."""
        reports = [
            state.report.without_failed_tries() if state.phase is CheckPhase.PASSED else state.report
            for state in runs
            if state.report is not None
        ]
        red = [self._red(state) for state in runs]
        flaky = {name for names in red for name in names if not all(name in others for others in red)}
        if not flaky or not below.report.is_usable:
            return flaky, []
        own = flaky & set(self.own(below.report, known.report))
        green = {name for report in reports for name in report.names(TestResult.PASSED)}
        old = (flaky & green) - own
        auto_quarantine.count_flakes_of_proof(check.space.project_id, self.plan.run_id, old, check.commit)
        return flaky, sorted(own)

    def _without_quarantined(self, check: Check, state: CheckState) -> Verdict:
        """Only tests in quarantine failed, which may hide what else does: the run without them is judged."""
        quarantined = self.plan.quarantined
        names = sorted(quarantined & state.report.names(TestResult.FAILED)) if state.report is not None else []
        if check.left_out:
            return self._not_left_out(check, state, names)
        known, without = test_results.record_run(check, state), without_quarantined(check, quarantined)
        rest = run_without(self.runtime, without, quarantined)
        if rest.phase is CheckPhase.RUNNING:
            return _running("Tests in quarantine fail: the others run once more without them.")
        if failed_in_quarantine(rest, quarantined):
            return self._not_left_out(check, rest, names)
        if rest.phase is CheckPhase.PASSED:
            message = f"The tests pass but for {len(names)} in quarantine: {first_of(names)}."
            result = _passed(message, QUARANTINED_TESTS, state.log, quarantined=len(names))
            verdict = Verdict(result, test_results.record_run(without, rest).report)
        else:
            verdict = self.judge(without, rest, may_report=True)
        if verdict.report is None:
            return verdict
        return replace(verdict, report=combined(known.report, verdict.report), without=without)

    def _not_left_out(self, check: Check, state: CheckState, names: Sequence[str]) -> Verdict:
        times = MOST_RUNS + 1
        message = (
            f"Only tests in quarantine fail, but they can't be left out and failed {times} times in a row, so nothing "
            f"tells whether others would fail: {first_of(names)}."
        )
        return Verdict(_failed(check, state, message, QUARANTINED_TESTS, quarantined=len(names)))


def _again(check: Check, number: int) -> Check:
    return replace(check, check_id=_again_id(check.check_id, number))


def _again_id(check_id: str, number: int) -> str:
    return f"{check_id}-run{number}"


def _running(message: str) -> Verdict:
    return Verdict(CheckResult("tests", "running", message))


def _passed(message: str, code: str, log: str, **facts: int) -> CheckResult:
    return CheckResult("tests", "passed", message, code=code, log=log, facts=facts)


def _hidden(state: CheckState) -> str:
    return " The report says so, and the command hides it (exit status 0)." if state.hides_failures else ""


def _failed(check: Check, state: CheckState, message: str, code: str, **facts: int) -> CheckResult:
    without = " They were run without its changes to how tests run." if check.overlay is not None else ""
    without += " Those in quarantine were left out." if check.left_out else ""
    return CheckResult("tests", "failed", f"{message}{without}", code=code, log=state.log, facts=facts)


def _base_is_red(plan: ProofPlan, state: CheckState) -> CheckResult:
    branch = plan.location.default_branch
    message = (
        f"The tests fail, as they do without this work, in {branch}: {state.reason}. Nothing names the tests that "
        f"fail, so nothing can be said of the work until {branch} is mended and merged into the branch."
    )
    return CheckResult("tests", "failed", message, code=red_base.BASE_IS_RED, log=state.log)
