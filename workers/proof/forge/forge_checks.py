"""The checks at the forge that prove a run's claim. Only reads; the caller decides about the task.

Changes are read from git's lists and blobs, never from a patch. Content that can't be read never passes a check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeGuard

from common.errors import ProviderRefused
from common.machine.git.gitmodules import submodule_paths
from common.machine.text import path_text
from common.providers.forge import Change, Entry, Forge
from common.services.proof.verification import MOST_CHANGED_PATHS, CheckResult, ProofPlan
from common.values.path_patterns import compiled
from common.values.repository import Repository
from workers.proof.forge.commit_reads import changes_between, conflict_of, taken_back_by, undone_by
from workers.proof.forge.default_branch import NoDefaultBranch, default_head

_TOO_LARGE = frozenset({"too_large", "diff_too_large"})
"""Error codes of a forge for a commit that is too large to compare: the agent has to make it smaller."""
_TEST_FOLDERS = frozenset({"test", "tests", "spec", "specs", "__tests__"})
_TEST_NAME = re.compile(r"^test_|^tests?\.|[_.-](test|tests|spec)\.[A-Za-z0-9]+$|[a-z]Tests?\.[A-Za-z]+$")
# No part matches across the end of a line, so matching takes linear time on any file.
_TEST_DEFINITION = re.compile(
    rb"^[^\S\n]*(?:(?:async[ \t]+)?def[ \t]+test|(?:it|test|describe)(?:\.\w+)*[ \t]*\("
    rb"|func[ \t]+(?:\([^)\n]*\)[ \t]*)?Test|@Test\b|#\[(?:\w+::)?test\])",
    re.MULTILINE,
)
_SNIFFED_BYTES = 8000
_SUBMODULE = "160000"
_LARGEST_GITMODULES_BYTES = 2**20
_MOST_NAMED = 20
NO_DEFAULT_BRANCH = "no_default_branch"
"""The code of a check that waits because the project's default branch is missing."""
_REFUSALS = {
    "unrelated": "unrelated_history", "several_bases": "several_bases", "diff_too_large": "diff_too_large",
    "too_large": "too_large",
}  # fmt: skip
"""The forge's error code → the check's code, for errors that are caused by the pushed commit."""


def examine(forge: Forge, repository: Repository, plan: ProofPlan) -> list[CheckResult]:
    """Run the checks head, diff, merge and paths; stop after the first that fails or has to wait."""
    results = [_head(forge, repository, plan)]
    if results[-1].status == "failed" or plan.claimed_sha is None:
        return results
    try:
        base = default_head(forge, plan.location)
    except NoDefaultBranch as error:
        # The agent can't help it: its work waits until the branch is back.
        return [*results, CheckResult("merge", "running", error.message, code=NO_DEFAULT_BRANCH)]
    try:
        for result in _checks(forge, repository, plan, base):
            results.append(result)
            if result.status in {"failed", "running"}:
                break
    except ProviderRefused as error:
        if error.code not in _REFUSALS:
            raise
        results.append(_unfit(plan, "diff", _REFUSALS[error.code], error.message))
    return results


def _checks(forge: Forge, repository: Repository, plan: ProofPlan, base: str) -> Iterator[CheckResult]:
    changes = changes_between(forge, repository, base=base, head=plan.claimed_sha or "")
    yield _diff(changes, _unnamed_submodules(forge, repository, plan, changes))
    yield _merge(forge, repository, plan, base)
    yield _paths(changes, plan.forbidden_paths)


def _unfit(plan: ProofPlan, name: str, code: str, reason: str) -> CheckResult:
    branch = plan.location.default_branch
    if code == "unrelated_history":
        reason = f"The commit has no history in common with {branch}: do the work on a branch that starts at {branch}."
    elif code == "several_bases":
        reason = (
            f"It was made from several commits of {branch}, so what it changes can't be compared with one of them: "
            f"merge {branch} into the branch."
        )
    elif code in {"diff_too_large", "too_large"}:
        reason = f"{reason}: make the commit smaller."
    return CheckResult(name, "failed", reason, code=code)


def _head(forge: Forge, repository: Repository, plan: ProofPlan) -> CheckResult:
    claimed, head = plan.claimed_sha, forge.read_head(repository, plan.branch)
    if claimed is None:
        return CheckResult("head", "failed", "The agent reported no commit: commit the work.", code="no_commit")
    if head == claimed:
        return CheckResult("head", "passed", f"{claimed} is the head of {plan.branch}.")
    try:
        is_known = head is not None and forge.contains(repository, ancestor=claimed, head=head)
    except ProviderRefused:
        is_known = False
    if is_known:
        message = f"{claimed} was reported, but {plan.branch} is at {head}: report the newest commit."
        return CheckResult("head", "failed", message, code="not_head")
    message = f"{claimed} was reported, but it is not on {plan.branch} at the forge: push it."
    return CheckResult("head", "failed", message, code="not_pushed")


def _diff(changes: Sequence[Change], unnamed_submodules: Sequence[str]) -> CheckResult:
    if not changes:
        return CheckResult("diff", "failed", "The commit changes nothing.", code="empty_diff")
    if unnamed_submodules:
        message = (
            f"It has links to other repositories instead of files at {_named(unnamed_submodules)}, which .gitmodules "
            "does not name: add the files, or remove the links."
        )
        return CheckResult("diff", "failed", message, code="unnamed_submodules")
    message = "One file changed." if len(changes) == 1 else f"{len(changes)} files changed."
    return CheckResult("diff", "passed", message, log=_changed_paths(changes))


def _unnamed_submodules(
    forge: Forge, repository: Repository, plan: ProofPlan, changes: Sequence[Change]
) -> Sequence[str]:
    """The paths of new links to commits of other repositories that no clone can follow: nobody can have their files."""
    kept = {change.before.path for change in changes if _is_link(change.before)}
    links = {change.after.path for change in changes if _is_link(change.after)} - kept
    if not links:
        return ()
    file = forge.read_file(
        repository, commit=plan.claimed_sha or "", path=".gitmodules", max_bytes=_LARGEST_GITMODULES_BYTES
    )
    return sorted(links - submodule_paths(file or b""))


def _is_link(entry: Entry | None) -> TypeGuard[Entry]:
    return entry is not None and entry.mode == _SUBMODULE


def _changed_paths(changes: Sequence[Change]) -> str:
    """The paths that are changed, one on a line, sorted; both of a rename. At most MOST_CHANGED_PATHS."""
    paths = {entry.path for change in changes for entry in (change.before, change.after) if entry is not None}
    return "\n".join(path_text(path).replace("\n", "\\n") for path in sorted(paths)[:MOST_CHANGED_PATHS])


def _merge(forge: Forge, repository: Repository, plan: ProofPlan, base: str) -> CheckResult:
    """Check that the commit merges with the default branch and with the rival group, which is delivered before it."""
    branch, commit = plan.location.default_branch, plan.claimed_sha or ""
    conflict = conflict_of(forge, repository, base=base, commit=commit)
    if conflict is not None:
        message = f"It conflicts with {branch} in {_named(conflict.files)}: merge {branch} into the branch."
        return CheckResult("merge", "failed", message, code="conflicts")
    if taken_back := taken_back_by(forge, repository, base=base, head=commit):
        message = (
            f"A merge in it takes back what {branch} changed: {_named(taken_back)}: take these from {branch} again."
        )
        return CheckResult("merge", "failed", message, code="takes_back")
    if plan.rival is not None and _is_against(forge, repository, plan.rival[1], base=base, commit=commit):
        message = f"It merges with {branch}, but not with {plan.rival[0]}, which is being delivered first: it waits."
        return CheckResult("merge", "running", message)
    return CheckResult("merge", "passed", f"It merges cleanly into {branch}.")


def _is_against(forge: Forge, repository: Repository, rival: str, *, base: str, commit: str) -> bool:
    if conflict_of(forge, repository, base=rival, commit=commit) is not None:
        return True
    # A rival whose default branch has moved on is built anew before it is delivered.
    is_current = forge.contains(repository, ancestor=base, head=rival)
    return is_current and bool(undone_by(forge, repository, base=base, onto=rival, head=commit))


def _paths(changes: Sequence[Change], forbidden: tuple[str, ...]) -> CheckResult:
    """Check that no forbidden path was changed. Both paths of a rename count."""
    patterns = compiled(forbidden)
    touched = [entry for change in changes for entry in (change.before, change.after) if entry is not None]
    hits = {one.path for one in touched if patterns.covers(one.path, leads_elsewhere=one.leads_elsewhere)}
    if not hits:
        return CheckResult("paths", "passed", "No forbidden path is touched.")
    message = f"It changes paths that the project forbids: {_named(hits)}: undo these changes."
    return CheckResult("paths", "failed", message, code="forbidden_paths")


def kept_tests(forge: Forge, repository: Repository, plan: ProofPlan) -> CheckResult:
    """Check, without a report of the tests that ran, that no test file was deleted and that the test files did not lose
    more tests than they gained.
    """
    if plan.tests_lost == "warn":
        return CheckResult("kept_tests", "skipped", "The project allows deleting tests.")
    try:
        return _kept_tests(forge, repository, read_changes(forge, repository, plan))
    except ProviderRefused as error:
        if error.code not in _REFUSALS:
            raise
        return _unfit(plan, "kept_tests", _REFUSALS[error.code], error.message)


def read_changes(forge: Forge, repository: Repository, plan: ProofPlan) -> Sequence[Change]:
    """What the claimed commit changes since its merge base with the default branch."""
    base = forge.read_head(repository, plan.location.default_branch)
    return changes_between(forge, repository, base=base or "", head=plan.claimed_sha or "")


def _kept_tests(forge: Forge, repository: Repository, changes: Sequence[Change]) -> CheckResult:
    gone = [change.before.path for change in changes if change.before is not None and _loses_tests(change)]
    if gone:
        message = f"It deletes tests: {_named(gone)}: restore them."
        return CheckResult("kept_tests", "failed", message, code="tests_deleted")
    before = _test_files(change.before for change in changes)
    lost, unreadable = _count_tests(forge, repository, before)
    if unreadable:
        message = f"{_named(unreadable)} is too large to count its tests: undo the changes to it."
        return CheckResult("kept_tests", "failed", message, code="tests_unreadable")
    if lost:
        # A file that is too large to read counts as having no tests, so this can fail a commit but never pass one.
        lost -= _count_tests(forge, repository, _test_files(change.after for change in changes))[0]
    if lost > 0:
        message = (
            "It deletes one test more than it adds: restore it."
            if lost == 1
            else f"It deletes {lost} tests more than it adds: restore them."
        )
        return CheckResult("kept_tests", "failed", message, code="tests_deleted")
    return CheckResult("kept_tests", "passed", "No test was deleted.")


def _loses_tests(change: Change) -> bool:
    before, after = change.before, change.after
    if before is None or not is_test_file(before.path):
        return False
    return after is None or not is_test_file(after.path)


def _test_files(entries: Iterable[Entry | None]) -> list[Entry]:
    return [entry for entry in entries if entry is not None and entry.is_file and is_test_file(entry.path)]


def _count_tests(forge: Forge, repository: Repository, files: Sequence[Entry]) -> tuple[int, list[str]]:
    """Return how many tests the files define, and the paths of text files that are too large to read."""
    counts: dict[str, int] = {}
    for blob in forge.read_blobs(repository, [file.object_id for file in files]) if files else ():
        is_binary = b"\0" in blob.content[:_SNIFFED_BYTES]
        if is_binary or not blob.is_cut:
            text = b"" if is_binary else blob.content.replace(b"\r", b"\n")
            counts[blob.object_id] = len(_TEST_DEFINITION.findall(text))
    unreadable = [file.path for file in files if file.object_id not in counts]
    return sum(counts.get(file.object_id, 0) for file in files), unreadable


def _named(paths: Iterable[str]) -> str:
    """Return the first paths, sorted, as text. Bytes that are not UTF-8 become replacement characters."""
    return path_text(", ".join(sorted(paths)[:_MOST_NAMED]))


def is_test_file(path: str) -> bool:
    """Whether common test runners would take this for a test: by a folder such as `tests`, or by the file's name."""
    *folders, name = path.split("/")
    return any(folder.lower() in _TEST_FOLDERS for folder in folders) or _TEST_NAME.search(name) is not None
