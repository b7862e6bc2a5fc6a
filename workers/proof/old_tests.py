"""Runs the files of tests that a claimed commit changes as they were on the commit below: what fails there passes only
because it was changed.

That shows whatever makes a test pass that should fail: an emptied body, a hook, a fixture, another expectation. Honest
work changes expectations, too, so it is a warning that says where to look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from common.providers.forge import Change, Entry
from common.providers.runtime import Runtime
from common.services.proof.verification import MOST_ACCEPTED, CheckResult, ProofPlan
from common.values.testing.check import Check, CheckPhase, Overlay
from common.values.testing.test_report import TestReport, TestResult
from workers.checkouts.overlays import is_too_large
from workers.proof.base_tests import BaseCommit
from workers.proof.file_runs import files_of, forget_files, run_files, tests_of
from workers.proof.forge.forge_checks import is_test_file
from workers.proof.lost_tests import GONE, RAN
from workers.proof.new_tests import MOST_OVERLAID
from workers.proof.sentences import first_of

CHANGED_TESTS = "changed_tests"
FAILS = "fails"
RUNS = 2
"""A test that fails in one of them alone is flaky."""


@dataclass(frozen=True)
class OldTests:
    """Safe to repeat: what was run is kept by the runtime until `forget`."""

    runtime: Runtime
    plan: ProofPlan
    below: BaseCommit

    def check(self, check: Check, names: Collection[str], changes: Sequence[Change]) -> Iterator[CheckResult]:
        """Yield the check `changed_tests`; nothing if the commit changes nothing that tests of before depend on.

        names: of the tests that pass on both commits. Raises ProviderUnavailable if the command can't be started yet.
        """
        kept, added = _of_tests([change.before for change in changes]), _of_tests([change.after for change in changes])
        added -= kept
        # Other files that are new have tests of their own, or are used by files that are changed.
        of_others = kept | {path for path in added if _is_hook(path)}
        names = set(names) - self.plan.quarantined
        if not of_others or not names:
            return
        overlay = _together(Overlay(self.below.sha(), tuple(sorted(kept)), tuple(sorted(added))), check.overlay)
        if len(kept | added) > MOST_OVERLAID or is_too_large(overlay):
            message = "Too many files of tests changed to run them as they were."
            yield CheckResult(CHANGED_TESTS, "skipped", message, code="tests_changed")
            return
        old = replace(check, overlay=overlay, left_out=tuple(sorted(self.plan.quarantined)))
        yield self._run(old, tests_of(names, of_others) or names, of_others)

    def _run(self, check: Check, names: Collection[str], paths: Collection[str]) -> CheckResult:
        """What becomes of these tests, which are in files of these paths or depend on them."""
        failing = unable = set(names)
        for run in range(1, RUNS + 1):
            once = replace(check, check_id=_run_id(check.check_id, run))
            state = run_files(self.runtime, once, files_of(names, paths))
            if state.phase is CheckPhase.RUNNING:
                return CheckResult(CHANGED_TESTS, "running", "The changed files of tests run once more as they were.")
            report = state.report or TestReport(problem="")
            if not report.names(*RAN):
                message = (
                    "The changed files of tests give no report as they were, so what they guarded is not known to hold."
                )
                return CheckResult(CHANGED_TESTS, "skipped", message, code="tests_changed", log=state.log)
            failing = failing & report.names(TestResult.FAILED)
            unable = unable - report.names(*RAN)
            if not failing and not unable:
                break
        return _judged(names, failing, unable)

    def forget(self, check_id: str) -> None:
        """Have the runtime forget the runs of this kind for the check of this id. Safe to repeat."""
        for run in range(1, RUNS + 1):
            forget_files(self.runtime, self.plan.location.space, _run_id(check_id, run))


def _of_tests(entries: Iterable[Entry | None]) -> set[str]:
    paths = {entry.path for entry in entries if entry is not None}
    return {path for path in paths if is_test_file(path) or _is_hook(path)}


def _is_hook(path: str) -> bool:
    return path.rpartition("/")[2] == "conftest.py"


def _together(tests: Overlay, setup: Overlay | None) -> Overlay:
    """The files of tests and what defines how they run, both of the commit below."""
    if setup is None:
        return tests
    paths = {*tests.paths, *setup.paths}
    texts = tuple(file for file in setup.texts if file.path not in {*paths, *tests.gone})
    gone = {*tests.gone, *setup.gone} - paths
    return Overlay(tests.commit, tuple(sorted(paths)), tuple(sorted(gone)), texts)


def _judged(names: Collection[str], failing: Collection[str], unable: Collection[str]) -> CheckResult:
    changed = [*sorted(failing), *sorted(unable)]
    facts = {"kept": len(names) - len(changed), "failing": len(failing), "unable": len(unable)}
    if not changed:
        message = (
            "One test of the changed files passes as it was, too."
            if len(names) == 1
            else f"{len(names)} tests of the changed files pass as they were, too."
        )
        return CheckResult(CHANGED_TESTS, "passed", message, facts=facts)
    log = "\n".join(f"{FAILS if name in failing else GONE}: {name}" for name in changed[:MOST_ACCEPTED])
    message = _of_failing(sorted(failing), len(unable)) if failing else _of_unable(changed)
    return CheckResult(CHANGED_TESTS, "passed", message, code="tests_changed", log=log, facts=facts)


def _of_failing(names: Sequence[str], unable: int) -> str:
    """What is said of tests that fail as they were.

    unable: how many others did not run. One that fails may keep others from running, as with `pytest -x`.
    """
    named = first_of(names)
    message = (
        f"One test passes only because it was changed; as it was, it does not: {named}."
        if len(names) == 1
        else f"{len(names)} tests pass only because they were changed; as they were, they do not: {named}."
    )
    if not unable:
        return message
    return f"{message} " + ("One did not run as it was." if unable == 1 else f"{unable} did not run as they were.")


def _of_unable(names: Sequence[str]) -> str:
    named = first_of(names)
    return (
        f"One test does not run as it was, so what it guarded is not known to hold: {named}."
        if len(names) == 1
        else f"{len(names)} tests do not run as they were, so what they guarded is not known to hold: {named}."
    )


def _run_id(check_id: str, run: int) -> str:
    return f"{check_id}-old" if run == 1 else f"{check_id}-old-{run}"
