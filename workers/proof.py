"""What is looked at at the forge to prove a run's claim. It reads, and decides nothing about the task."""

from __future__ import annotations

from pathlib import PurePosixPath

from common.errors import ProviderRefused
from common.providers.forge import Diff, Forge, MergeConflict, Repository
from common.services.verification import CheckResult, ProofPlan


def examine(forge: Forge, repository: Repository, plan: ProofPlan) -> list[CheckResult]:
    """The checks up to the first that failed: head, diff, merge, paths."""
    results = [_head(forge, repository, plan)]
    if results[-1].status == "failed" or plan.claimed_sha is None:
        return results
    base = forge.read_head(repository, plan.place.default_branch)
    if base is None:
        message = f"The default branch {plan.place.default_branch} is gone."
        return [*results, CheckResult("merge", "failed", message, code="no_default_branch")]
    diff = forge.diff(repository, base=base, head=plan.claimed_sha)
    for result in (
        _diff(diff),
        _merge(forge.try_merge(repository, base=base, commit=plan.claimed_sha), plan.place.default_branch),
        _paths(diff, plan.forbidden_paths),
    ):
        results.append(result)
        if result.status == "failed":
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


def _merge(conflict: MergeConflict | None, base: str) -> CheckResult:
    if conflict is None:
        return CheckResult("merge", "passed", f"It merges cleanly into {base}.")
    message = f"It conflicts with {base} in {', '.join(conflict.files)}: merge {base} into the branch."
    return CheckResult("merge", "failed", message, code="conflicts")


def _paths(diff: Diff, forbidden: tuple[str, ...]) -> CheckResult:
    touched = sorted({path for file in diff.files for path in (file.path, file.old_path) if path})
    hits = [path for path in touched if any(matches(path, pattern) for pattern in forbidden)]
    if not hits:
        return CheckResult("paths", "passed", "No forbidden path is touched.")
    message = f"It touches what the project forbids: {', '.join(hits[:20])}: take that out."
    return CheckResult("paths", "failed", message, code="forbidden_paths")


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
