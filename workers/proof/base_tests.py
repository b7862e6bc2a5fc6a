"""The tests of the commit below a claimed one, where its branch left the default branch: run once for each commit, and
once more if they fail, before the commit counts as red.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace

from common.providers.forge import Forge
from common.providers.runtime import Runtime
from common.secrets.signing import digest_of
from common.services.project_settings.check_settings import settings_of
from common.services.proof import red_base, test_results
from common.services.proof.test_results import Tested
from common.services.proof.verification import ProofPlan
from common.values.testing.build_results import BASE_RUNS
from common.values.testing.check import Check, CheckPhase
from common.values.testing.test_report import TestReport
from workers.execution.provider_calls import forget_check, run_check
from workers.proof.forge.commit_reads import merge_base_of
from workers.proof.lost_tests import combined
from workers.proof.quarantined_runs import without_quarantined


@dataclass(frozen=True)
class BaseCommit:
    """For one look at it, with the head that the default branch has then.

    Safe to repeat: what was found out is stored, or kept by the runtime.
    """

    forge: Forge
    runtime: Runtime
    plan: ProofPlan

    def sha(self) -> str:
        return self.sha_of(self.plan.claimed_sha or "")

    def sha_of(self, commit_sha: str) -> str:
        """The commit below another commit than the claimed one."""
        return merge_base_of(self.forge, self.plan.location.repository, base=self._head or "", head=commit_sha)

    def tested(self, check: Check) -> Tested | None:
        """What is known of its tests by the commands of this check of the claimed commit; None while they run."""
        sha = self.sha()
        below = replace(check, commit=sha, overlay=None)
        # Proofs of several tasks share it, so it has nothing of a task's own settings.
        below = replace(below, check_id=_check_id(sha, check.left_out), settings=settings_of(below))
        known = test_results.read_tested(below)
        while known is None or (not known.passed and known.runs < BASE_RUNS):
            run = 1 if known is None else known.runs + 1
            once = replace(below, check_id=_run_id(below.check_id, run))
            state = run_check(self.runtime, once)
            if state.phase is CheckPhase.RUNNING:
                return None
            known = test_results.record_run(once, state, run=run, is_landed=True)
            forget_check(self.runtime, self.plan.location.space, once.check_id)
        if sha == self._head:
            red_base.record_base(self.plan.location.space.project_id, sha, known, ignored=self.plan.quarantined)
        return known

    def judged(self, check: Check) -> Tested | None:
        """As `tested`; where only tests in quarantine fail there, of the runs without them."""
        known = self.tested(check)
        if known is None or known.passed or red_base.is_red(known, self.plan.quarantined):
            return known
        return self.tested(without_quarantined(check, self.plan.quarantined))

    def report(self, check: Check, without: Check | None) -> TestReport | None:
        """The report of its tests; None while they run. If tests in quarantine fail there, with those that run without
        them.

        without: the check that leaves them out, if the result of the claimed commit is that of its run.
        """
        known = self.tested(check)
        if known is None or known.passed:
            return None if known is None else known.report
        rest = self.judged(check) if without is None else self.tested(without)
        return None if rest is None else combined(known.report, rest.report)

    def forget(self) -> None:
        """Have the runtime forget the runs of its tests, for proofs of a project that has none any more. Safe to
        repeat."""
        sha = self.sha()
        for left_out in {(), tuple(sorted(self.plan.quarantined))}:
            for run in range(1, BASE_RUNS + 1):
                forget_check(self.runtime, self.plan.location.space, _run_id(_check_id(sha, left_out), run))

    @functools.cached_property
    def _head(self) -> str | None:
        return self.forge.read_head(self.plan.location.repository, self.plan.location.default_branch)


def _check_id(sha: str, left_out: tuple[str, ...]) -> str:
    which = f"-{digest_of(json.dumps(left_out))[:16]}" if left_out else ""
    return f"below-{sha[:24]}{which}"


def _run_id(check_id: str, run: int) -> str:
    return check_id if run == 1 else f"{check_id}-{run}"
