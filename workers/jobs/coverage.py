"""The job that runs the tests of proven work once more, measured, to name the lines that no test touches.

It is a run of its own, so that a tool that is slow, or makes tests fail, changes no verdict and nobody waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.errors import ProviderRefused
from common.jobs import catalogue
from common.providers.forge import Forge, forge
from common.providers.runtime import Runtime, runtime
from common.services.proof import coverage_runs
from common.services.proof.verification import COVERAGE, CheckResult, ProofPlan
from common.values.testing.check import Check, CheckPhase
from workers.execution.job_run import Claimed, job
from workers.execution.provider_calls import forget_check, run_check
from workers.proof.forge.forge_checks import read_changes
from workers.proof.test_checks import TestProof
from workers.proof.untested_lines import check_coverage


@job(catalogue.MEASURE_COVERAGE)
def measure_coverage(job: Claimed) -> None:
    plan = coverage_runs.begin_coverage(job.lease)
    if plan is None:
        return
    measured = CoverageRun(forge(), runtime(), plan.proof)
    result = None if plan.is_void else measured.result()
    coverage_runs.record_coverage(job.lease, result)
    if result is None or result.status != "running":
        measured.forget()


@dataclass(frozen=True)
class CoverageRun:
    """Safe to repeat: what was run is kept by the runtime until `forget`."""

    forge: Forge
    runtime: Runtime
    plan: ProofPlan

    def result(self) -> CheckResult | None:
        """The check `coverage`; None if there are no tests. Raises ProviderUnavailable if they can't be started yet."""
        if self.plan.tests is None:
            return None
        try:
            return self._measured(self.plan.tests)
        except ProviderRefused as error:
            if error.code != "several_bases":
                raise
            # The default branch has moved since the proof.
            branch = self.plan.location.default_branch
            message = f"It is not known which lines the tests touch: it has merged what {branch} got by another merge."
            return CheckResult(COVERAGE, "skipped", message)

    def _measured(self, tests: Check) -> CheckResult:
        check, _ = TestProof(self.forge, self.runtime, self.plan).prepared(tests)
        measured = replace(check, check_id=self._check_id, measures_coverage=True)
        state = run_check(self.runtime, measured, may_take_down_previews=False)
        if state.phase is CheckPhase.RUNNING:
            return CheckResult(COVERAGE, "running", "The tests run once more, to find the lines that none touches.")
        if state.phase is CheckPhase.FAILED:
            message = "It is not known which lines the tests touch: measured, they fail"
            return CheckResult(COVERAGE, "skipped", f"{message}: {state.reason}.", log=state.log)
        if state.coverage is None:
            return CheckResult(COVERAGE, "skipped", "No tool measured which lines the tests touch.", log=state.log)
        changes = read_changes(self.forge, self.plan.location.repository, self.plan)
        return check_coverage(self.forge, self.plan.location.repository, changes, measured, state.coverage)

    def forget(self) -> None:
        """Have the runtime forget the run. Safe to repeat."""
        forget_check(self.runtime, self.plan.location.space, self._check_id)

    @property
    def _check_id(self) -> str:
        return f"{self.plan.run_id}-coverage"
