"""The checks that run the project's tests: on the claimed commit, on the commit below it to compare which tests ran,
and on each once more with the files of tests of the other.

Where the tests write no report, the command's exit code is all there is, and the proof says so.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from common.errors import ProviderRefused
from common.machine.text import path_text
from common.providers.forge import Change, Entry, Forge
from common.providers.runtime import Runtime
from common.services.proof import test_results
from common.services.proof.flaky_commits import OWN_FLAKY, FlakyCommit
from common.services.proof.verification import (
    MOST_ACCEPTED,
    MOST_CHANGED_PATHS,
    CheckResult,
    ProofPlan,
)
from common.values.repository import Repository
from common.values.testing.check import Check, CheckPhase, CheckState
from common.values.testing.test_report import TestReport, TestResult
from workers.checkouts.overlays import is_too_large
from workers.execution.provider_calls import forget_check, run_check, with_source
from workers.proof.base_tests import BaseCommit
from workers.proof.forge.commit_reads import changes_between
from workers.proof.forge.forge_checks import is_test_file, kept_tests, read_changes
from workers.proof.lost_tests import RAN, Comparison, all_lost, compare
from workers.proof.new_tests import NewTests
from workers.proof.old_tests import OldTests
from workers.proof.red_tests import RedTests, Verdict
from workers.proof.sentences import first_of
from workers.proof.sources.links import linked_files
from workers.proof.sources.python_bodies import module_of
from workers.proof.sources.test_bodies import Bodies, Content
from workers.proof.sources.test_setup import SetupChange, SetupFiles, setup_change
from workers.proof.untested_lines import check_coverage

LONGEST_LIVE_LOG = 4000
EXIT_CODE_ONLY = "exit code only"
_MAY_REPORT = re.compile(
    r"(?:^|[\s;&|(/'\"])(?:python[\d.]*|py\.?test[\d.]*|node|np[mx]|pnpm|yarn|bun|deno|go|gotestsum|cargo|mvnw?"
    r"|gradlew?|g?make|just|rake|tox|nox|uvx?|poetry|pdm|hatch|pipenv|bazel|docker)(?=[\s;&|)'\"]|$)"
    r"|(?:^|[;&|(\n])\s*(?:\w+=\S*\s+)*\.{0,2}/\S|\b(?:ba|da|z)?sh\s+[^-\s]"
)
"""Commands that may lead to a runner that writes a report. For others, such as `grep`, nothing below is tested."""


@dataclass
class TestProof:
    """The checks of one proof, for one look at it.

    Safe to repeat: what was found out is stored, or kept by the runtime.
    """

    __test__ = False

    forge: Forge
    runtime: Runtime
    plan: ProofPlan

    def results(self) -> Iterator[CheckResult]:
        """Yield the checks in their order; ends after the first that fails or has to wait.

        Raises ProviderUnavailable if a command can't be started yet.
        """
        if self.plan.tests is None:
            # Those of a command that was removed would take the place of others until their time is up.
            self._below.forget()
            yield kept_tests(self.forge, self._repository, self.plan)
            yield CheckResult("tests", "skipped", "The project names no tests.")
            return
        check, setup = self.prepared(self.plan.tests)
        if setup is not None:
            told = _of_setup(setup, may_change=self.plan.may_change_setup, below=self.plan.location.default_branch)
            yield told
            if told.status == "failed":
                return
        if (refused := self._known_flaky(check)) is not None:
            # A lucky run of the same files would not make them reliable.
            yield CheckResult("tests", "failed", refused.said, code=OWN_FLAKY)
            return
        if check.test_report is None and not _MAY_REPORT.search(check.command):
            yield kept_tests(self.forge, self._repository, self.plan)
        state = run_check(self.runtime, check)
        if state.phase is CheckPhase.RUNNING:
            yield CheckResult("tests", "running", "The tests are running.", log=state.log[-LONGEST_LIVE_LOG:])
        elif (again := self._repeated(check, state)) is not None and again.report is None:
            yield again.result
        elif again is not None:
            yield from self._compared(check, again.result, again.report)
        elif state.phase is CheckPhase.PASSED:
            report = test_results.record_run(check, state).report if _may_report(check) and state.report else None
            yield from self._compared(check, _passed(state, report), report)
            yield from self._coverage(check, state)
        else:
            verdict = self._red.judge(check, state, may_report=_may_report(check))
            if verdict.report is None:
                yield verdict.result
            else:
                yield from self._compared(check, verdict.result, verdict.report, without=verdict.without)

    def _known_flaky(self, check: Check) -> FlakyCommit | None:
        """A commit with the same files that was refused for flaky tests of its own, by the settings of now."""
        for refused in self.plan.flaky_before:
            is_known = test_results.read_tested(replace(check, commit=refused.commit_sha)) is not None
            if is_known and self._has_files_of(refused.commit_sha):
                return refused
        return None

    def _has_files_of(self, commit_sha: str) -> bool:
        claimed = self.plan.claimed_sha or ""
        if commit_sha == claimed:
            return True
        try:
            if self._below.sha_of(commit_sha) != self._below.sha():
                return False
            base = self._below.sha()
            one, other = (
                changes_between(self.forge, self._repository, base=base, head=head) for head in (commit_sha, claimed)
            )
        except ProviderRefused:
            # It may be gone after a push by force.
            return False
        return one == other

    def _repeated(self, check: Check, state: CheckState) -> Verdict | None:
        if not self.plan.flaky_before or state.phase is not CheckPhase.PASSED or not _may_report(check):
            return None
        return self._red.repeat(check, state)

    def prepared(self, tests: Check) -> tuple[Check, SetupChange | None]:
        """The check that runs these tests, and what the commit changes of how they run, which that may take back."""
        check = with_source(self.forge, self.plan.location, tests)
        setup = self._changed_setup(check)
        if setup is None or self.plan.may_change_setup:
            return check, setup
        return replace(check, overlay=setup.overlay), setup

    def _changed_setup(self, check: Check) -> SetupChange | None:
        if not self.plan.test_setup:
            return None
        files = SetupFiles(self.forge, self._repository, self.plan.test_setup, check.command)
        return setup_change(files, self._below.sha(), self.plan.claimed_sha or "")

    def _compared(
        self, check: Check, ran: CheckResult, report: TestReport | None, *, without: Check | None = None
    ) -> Iterator[CheckResult]:
        """Yield `ran`, the check of the tests, in its place among those that compare the report with the base's.

        without: see Verdict; then the report has the tests of both runs, and so has the base's.
        """
        if report is None:
            if _may_report(check):
                yield kept_tests(self.forge, self._repository, self.plan)
            yield ran
            return
        base = self._below.report(check, without)
        if base is None:
            yield ran
            message = "The tests of the commit below run, to compare which of them ran."
            yield CheckResult("lost_tests", "running", message)
            return
        if not base.is_usable:
            message = "The tests of the commit below gave no report, so which of them ran is not known."
            yield CheckResult("lost_tests", "skipped", message)
            yield kept_tests(self.forge, self._repository, self.plan)
            yield ran
            return
        yield ran
        changes = self._changed_tests()
        found = self._comparison(base, report, changes)
        yield self._lost(found, report)
        if report.is_usable and self.plan.tests_first != "off":
            yield from self._new.check(check, {*found.new, *found.changed}, changes)
        if report.is_usable and self.plan.runs_old_tests:
            both = base.names(TestResult.PASSED) & report.names(TestResult.PASSED)
            yield from self._old.check(check, both, read_changes(self.forge, self._repository, self.plan))

    def _coverage(self, check: Check, state: CheckState) -> Iterator[CheckResult]:
        if state.coverage is not None and self.plan.coverage != "off":
            changes = read_changes(self.forge, self._repository, self.plan)
            yield check_coverage(self.forge, self._repository, changes, check, state.coverage)

    def _changed_tests(self) -> list[Change]:
        return [change for change in read_changes(self.forge, self._repository, self.plan) if _is_of_tests(change)]

    def _own(self, base: TestReport, report: TestReport) -> Collection[str]:
        found = self._comparison(base, report, self._changed_tests())
        return {*found.new, *found.changed}

    @functools.cached_property
    def _below(self) -> BaseCommit:
        return BaseCommit(self.forge, self.runtime, self.plan)

    @property
    def _red(self) -> RedTests:
        return RedTests(self.runtime, self.plan, self._below, self._own)

    @property
    def _new(self) -> NewTests:
        return NewTests(self.runtime, self.plan, self._below)

    @property
    def _old(self) -> OldTests:
        return OldTests(self.runtime, self.plan, self._below)

    @property
    def _repository(self) -> Repository:
        return self.plan.location.repository

    def _comparison(self, base: TestReport, report: TestReport, changes: Sequence[Change]) -> Comparison:
        if not report.is_usable:
            return all_lost(base)
        try:
            others = [one for one in read_changes(self.forge, self._repository, self.plan) if not _is_of_tests(one)]
            before = self._bodies([change.before for change in changes], [one.before for one in others])
            entries = [*(change.after for change in changes), *self._linked_tests()]
            after = self._bodies(entries, [one.after for one in others])
        except ProviderRefused as error:
            if error.code != "diff_too_large":
                raise
            return replace(compare(base, report, Bodies(), Bodies()), is_by_body=False)
        return compare(base, report, before, after)

    def _linked_tests(self) -> list[Entry]:
        """The files of tests that the commit's new and changed links lead to, by their paths through these."""
        changes = read_changes(self.forge, self._repository, self.plan)
        found = linked_files(self.forge, self._repository, self.plan.claimed_sha or "", changes)
        return [entry for entry in found if is_test_file(entry.path)]

    def _bodies(self, entries: Sequence[Entry | None], others: Sequence[Entry | None] = ()) -> Bodies:
        """The bodies in the files of tests among the entries, and what these import from the others."""
        bodies = Bodies()

        def read(modules: Collection[str]) -> Sequence[tuple[str, Content]]:
            wanted = (entry for entry in others if entry is not None and entry.path.endswith(".py"))
            try:
                return list(self._contents(entry for entry in wanted if module_of(entry.path) in modules))
            except ProviderRefused as error:
                if error.code != "diff_too_large":
                    raise
                # Most of what tests import is the product, which may change as much as it likes.
                return ()

        tests = (entry for entry in entries if entry is not None and is_test_file(entry.path))
        bodies.add_all(self._contents(tests), read)
        return bodies

    def _contents(self, entries: Iterable[Entry]) -> Iterator[tuple[str, Content]]:
        """The paths and contents of the files among the entries."""
        paths = dict[str, list[str]]()
        for entry in entries:
            if entry.is_file:
                paths.setdefault(entry.object_id, []).append(entry.path)
        for blob in self.forge.read_blobs(self._repository, list(paths)) if paths else ():
            for path in paths[blob.object_id]:
                yield path, None if blob.is_cut else blob.content

    def _lost(self, found: Comparison, report: TestReport) -> CheckResult:
        if not found.is_by_body and self.plan.tests_lost != "warn":
            # Of names alone it would not be seen that a test was emptied.
            message = "The changed files of tests are too large together to compare them: make the commit smaller."
            return CheckResult("lost_tests", "failed", message, code="diff_too_large")
        lost_cases = [loss for loss in found.lost_cases if loss.name not in self.plan.accepted_losses]
        accepted = len(found.lost_cases) - len(lost_cases)
        facts = {"new": len(found.new), "lost": len(lost_cases), "renamed": found.renamed, "accepted": accepted}
        renamed = f", {found.renamed} renamed" if found.renamed else ""
        rest = renamed + (f", {accepted} let go by a person" if accepted else "")
        if not lost_cases:
            return CheckResult("lost_tests", "passed", f"{len(found.new)} new, none lost{rest}.", facts=facts)
        log = "\n".join(str(loss) for loss in lost_cases[: MOST_ACCEPTED + 1])
        why = "" if report.is_usable else f" The tests gave no report: {report.problem}."
        named = first_of([loss.name for loss in lost_cases])
        message = (
            f"One test of the commit below does not run any more or shows nothing{rest}: {named}.{why}"
            if len(lost_cases) == 1
            else f"{len(lost_cases)} tests of the commit below do not run any more or show nothing{rest}: {named}.{why}"
        )
        if self.plan.tests_lost == "warn":
            return CheckResult("lost_tests", "passed", message, code="tests_lost", log=log, facts=facts)
        message = f"{message} Restore the test." if len(lost_cases) == 1 else f"{message} Restore them."
        return CheckResult("lost_tests", "failed", message, code="tests_lost", log=log, facts=facts)

    def forget(self) -> None:
        """Have the runtime forget the checks of this proof, also of a command that was removed. Safe to repeat."""
        check_id = self.plan.run_id
        forget_check(self.runtime, self.plan.location.space, check_id)
        self._new.forget(check_id)
        self._old.forget(check_id)
        self._red.forget(check_id)


def _may_report(check: Check) -> bool:
    return check.test_report is not None or _MAY_REPORT.search(check.command) is not None


def _is_of_tests(change: Change) -> bool:
    return any(entry is not None and is_test_file(entry.path) for entry in (change.before, change.after))


def _passed(state: CheckState, report: TestReport | None) -> CheckResult:
    if report is None or not report.is_usable:
        why = f": {report.problem}" if report is not None else ""
        return CheckResult("tests", "passed", f"The tests pass ({EXIT_CODE_ONLY}{why}).", log=state.log)
    facts = {"ran": len(report.names(*RAN)), "skipped": len(report.names(TestResult.SKIPPED))}
    skipped = f", {facts['skipped']} skipped" if facts["skipped"] else ""
    return CheckResult("tests", "passed", f"The tests pass: {facts['ran']} ran{skipped}.", log=state.log, facts=facts)


def _of_setup(setup: SetupChange, *, may_change: bool, below: str) -> CheckResult:
    paths = [path_text(path).replace("\n", "\\n") for path in setup.paths]
    named, log, facts = first_of(paths), "\n".join(paths[:MOST_CHANGED_PATHS]), {"files": len(paths)}
    if may_change:
        return CheckResult(
            "test_setup", "passed", f"It changes how the tests run, as it may: {named}.", log=log, facts=facts
        )
    if is_too_large(setup.overlay):
        message = (
            f"It changes how the tests run in more files, or longer ones, than can be taken back: {named}: undo these "
            "changes."
        )
        return CheckResult("test_setup", "failed", message, code="diff_too_large", log=log, facts=facts)
    message = f"It changes how the tests run: {named}. They were run as {below} defines them, without that."
    return CheckResult("test_setup", "passed", message, code="test_setup_kept", log=log, facts=facts)
