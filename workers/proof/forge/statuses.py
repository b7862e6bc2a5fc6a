"""The check of the statuses that a project requires of the repository's own CI, on exactly one commit: the claimed one
of a task, or the merged one of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from common.errors import ProviderRefused
from common.providers.forge import Forge
from common.services.proof.verification import STATUSES, CheckResult, ProofPlan
from common.values.delivery.commit_status import PASSING, CommitStatus, RequiredStatuses, StatusCode, StatusState
from common.values.repository import Repository

POLL_SECONDS = 15.0
"""How often to ask the forge for statuses that are awaited."""


def required_statuses(forge: Forge, plan: ProofPlan) -> list[CheckResult]:
    """Return the check, which passes, fails or has to wait; nothing if the project requires no statuses."""
    if plan.statuses is None:
        return []
    result = statuses_of(forge, plan.location.repository, plan.claimed_sha or "", plan.statuses)
    if result.code == StatusCode.UNREADABLE:
        result = replace(result, message=f"{result.message} Push another commit.")
    return [result]


def statuses_of(forge: Forge, repository: Repository, commit: str, required: RequiredStatuses) -> CheckResult:
    """Return the check of this commit, which passes, fails or has to wait."""
    try:
        found = forge.read_ci_statuses(repository, commit=commit)
    except ProviderRefused as error:
        if error.code != "too_large":
            raise
        message = f"The statuses of the commit can't be read: {error.message}."
        return CheckResult(STATUSES, "failed", message, code=StatusCode.UNREADABLE)
    return _judged(required, {status.context: status for status in found})


def _judged(required: RequiredStatuses, found: Mapping[str, CommitStatus]) -> CheckResult:
    statuses = [found[context] for context in required.contexts if context in found]
    missing = [context for context in required.contexts if context not in found]
    pending = [status.context for status in statuses if status.state is StatusState.PENDING]
    failed = [status for status in statuses if status.state not in {*PASSING, StatusState.PENDING}]
    log = "\n".join([*map(_told, statuses), *(f"{context}: missing" for context in missing)])
    if failed:
        named = ", ".join(f"{status.context} ({status.state})" for status in failed)
        message = f"The repository's own CI does not pass on this commit: {named}."
        return CheckResult(STATUSES, "failed", message, code=StatusCode.FAILED, log=log)
    if missing or pending:
        return _awaited(required, missing, pending, log)
    count = len(required.contexts)
    message = (
        "The repository's own CI passes: one required status."
        if count == 1
        else f"The repository's own CI passes: {count} required statuses."
    )
    return CheckResult(STATUSES, "passed", message, log=log, facts={"required": count})


def _awaited(required: RequiredStatuses, missing: Sequence[str], pending: Sequence[str], log: str) -> CheckResult:
    parts = [f"{what} is {how}" for how, named in (("missing", missing), ("pending", pending)) for what in named]
    if not required.is_late:
        return CheckResult(STATUSES, "running", f"The repository's own CI is awaited: {', '.join(parts)}.", log=log)
    awaited = ", ".join(parts)
    message = (
        f"The repository's own CI did not end within one minute: {awaited}."
        if required.minutes == 1
        else f"The repository's own CI did not end within {required.minutes} minutes: {awaited}."
    )
    code = StatusCode.MISSING if missing else StatusCode.PENDING
    return CheckResult(STATUSES, "failed", message, code=code, log=log)


def _told(status: CommitStatus) -> str:
    by = f" by {status.creator}" if status.creator is not None else ""
    rest = ": ".join(filter(None, [status.description, status.target_url]))
    return f"{status.context}: {status.state}{by}" + (f": {rest}" if rest else "")
