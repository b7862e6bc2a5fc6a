"""What is looked at at the forge to prove a run's claim. It reads, and decides nothing about the task."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from common.errors import ProviderRefused
from common.providers.forge import Diff, FileDiff, Forge, Repository
from common.services.verification import CheckResult, ProofPlan

_TOO_LARGE = frozenset({"too_large", "diff_too_large"})
"""Codes of a forge that can't compare a commit, whoever asks: its agent has to make it smaller."""
_TEST_FOLDERS = frozenset({"test", "tests", "spec", "specs", "__tests__"})
_TEST_NAME = re.compile(r"^test_|^tests?\.|[_.-](test|tests|spec)\.[A-Za-z0-9]+$|[a-z]Tests?\.[A-Za-z]+$")
_TEST_DEFINITION = re.compile(
    r"\s*(async\s+)?def\s+test|\s*(it|test|describe)(\.\w+)*\s*\(|\s*func\s+(\([^)]*\)\s*)?Test|\s*@Test\b|\s*#\[(\w+::)?test\]"
)


def examine(forge: Forge, repository: Repository, plan: ProofPlan) -> list[CheckResult]:
    """The checks up to the first that failed or has to wait: head, diff, merge, paths, kept_tests."""
    results = [_head(forge, repository, plan)]
    if results[-1].status == "failed" or plan.claimed_sha is None:
        return results
    base = forge.read_head(repository, plan.place.default_branch)
    if base is None:
        message = f"The default branch {plan.place.default_branch} is gone."
        return [*results, CheckResult("merge", "failed", message, code="no_default_branch")]
    try:
        diff = forge.diff(repository, base=base, head=plan.claimed_sha)
    except ProviderRefused as refused:
        if refused.code not in _TOO_LARGE:
            raise
        return [*results, CheckResult("diff", "failed", f"{refused.message}: take that out.", code=refused.code)]
    for result in (
        _diff(diff),
        _merge(forge, repository, plan, base),
        _paths(diff, plan.forbidden_paths),
        _kept_tests(diff, is_wanted=plan.keeps_tests),
    ):
        results.append(result)
        if result.status in {"failed", "running"}:
            break
    return results


def _head(forge: Forge, repository: Repository, plan: ProofPlan) -> CheckResult:
    claimed, head = plan.claimed_sha, forge.read_head(repository, plan.branch)
    if claimed is None:
        return CheckResult("head", "failed", "The agent named no commit: commit the work.", code="no_commit")
    if head == claimed:
        return CheckResult("head", "passed", f"{claimed} is the head of {plan.branch}.")
    try:
        is_known = head is not None and forge.contains(repository, ancestor=claimed, head=head)
    except ProviderRefused:
        is_known = False
    if is_known:
        message = f"{claimed} was claimed, but {plan.branch} is at {head}: claim the newest commit."
        return CheckResult("head", "failed", message, code="not_head")
    message = f"{claimed} was claimed, but it is not on {plan.branch} at the forge: push it."
    return CheckResult("head", "failed", message, code="not_pushed")


def _diff(diff: Diff) -> CheckResult:
    if not diff.files:
        return CheckResult("diff", "failed", "The commit changes nothing.", code="empty_diff")
    return CheckResult("diff", "passed", f"{len(diff.files)} file(s) changed.")


def _merge(forge: Forge, repository: Repository, plan: ProofPlan, base: str) -> CheckResult:
    """Whether it merges with the default branch, and with what is about to land there from the group it came from."""
    branch, commit = plan.place.default_branch, plan.claimed_sha or ""
    conflict = forge.try_merge(repository, base=base, commit=commit)
    if conflict is not None:
        message = f"It conflicts with {branch} in {', '.join(conflict.files)}: merge {branch} into the branch."
        return CheckResult("merge", "failed", message, code="conflicts")
    if plan.rival is not None and forge.try_merge(repository, base=plan.rival[1], commit=commit) is not None:
        message = f"It merges with {branch}, but not with {plan.rival[0]}, which is under way: that one goes first."
        return CheckResult("merge", "running", message)
    return CheckResult("merge", "passed", f"It merges cleanly into {branch}.")


def _paths(diff: Diff, forbidden: tuple[str, ...]) -> CheckResult:
    touched = sorted({path for file in diff.files for path in (file.path, file.old_path) if path})
    hits = [path for path in touched if any(matches(path, pattern) for pattern in forbidden)]
    if not hits:
        return CheckResult("paths", "passed", "No forbidden path is touched.")
    message = f"It touches what the project forbids: {', '.join(hits[:20])}: take that out."
    return CheckResult("paths", "failed", message, code="forbidden_paths")


def _kept_tests(diff: Diff, *, is_wanted: bool) -> CheckResult:
    """Whether test files went, or lost more tests than all of them together gained."""
    if not is_wanted:
        return CheckResult("kept_tests", "skipped", "The project lets tests be deleted.")
    gone = [file.old_path or file.path for file in diff.files if _loses_tests(file)]
    if gone:
        message = f"It deletes tests: {', '.join(sorted(gone)[:20])}: bring them back."
        return CheckResult("kept_tests", "failed", message, code="tests_deleted")
    lost = _tests_lost(diff.patch)
    if lost > 0:
        message = f"It deletes {lost} test(s) more than it adds: bring them back."
        return CheckResult("kept_tests", "failed", message, code="tests_deleted")
    return CheckResult("kept_tests", "passed", "No test was deleted.")


def _loses_tests(file: FileDiff) -> bool:
    before = file.old_path or file.path
    if not is_test_file(before):
        return False
    return file.status == "deleted" or (file.status == "renamed" and not is_test_file(file.path))


def _tests_lost(patch: str) -> int:
    """Definitions of tests that the patch takes away, less those that it adds, in test files."""
    lost, is_test = 0, False
    for line in patch.splitlines():
        if line.startswith(("--- ", "+++ ")):
            is_test = is_test_file(line[4:].strip().strip('"').split("/", 1)[-1])
        elif is_test and line.startswith("-") and _TEST_DEFINITION.match(line, 1):
            lost += 1
        elif is_test and line.startswith("+") and _TEST_DEFINITION.match(line, 1):
            lost -= 1
    return lost


def is_test_file(path: str) -> bool:
    """By the customs of the common test runners: a folder `test`, `tests`, `spec`, `__tests__`, or the file's name."""
    *folders, name = path.split("/")
    return any(folder in _TEST_FOLDERS for folder in folders) or _TEST_NAME.search(name) is not None


def matches(path: str, pattern: str) -> bool:
    """Whether a forbidden-path pattern covers the path.

    `dir/**` covers everything below dir, `**/name` a name at any depth; otherwise a pattern with a slash is held
    against the whole path from the root, one without against the last part alone, as in .gitignore.
    """
    if pattern.endswith("/**"):
        return path.startswith(pattern[:-2])
    if pattern.startswith("**/"):
        return PurePosixPath(path).match(pattern[3:])
    if "/" in pattern:
        return PurePosixPath("/" + path).match("/" + pattern.lstrip("/"))
    return PurePosixPath(path).match(pattern)
