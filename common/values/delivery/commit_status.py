"""What a repository's own CI says about a commit, and what a project requires of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_CONTEXTS = 20
LONGEST_CONTEXT = 100
OWN_CONTEXTS = "aiworker/"
"""How the contexts begin that the platform itself sets."""


class StatusState(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    WARNING = "warning"
    """Passed with something to look at: Gitea counts it as passed."""
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"
    """The CI did not run it. Gitea counts it as passed; as a proof it shows nothing."""


PASSING = frozenset({StatusState.SUCCESS, StatusState.WARNING})


class StatusCode(StrEnum):
    """Why a commit does not pass what a project requires of its CI."""

    FAILED = "status_failed"
    MISSING = "status_missing"
    PENDING = "status_pending"
    UNREADABLE = "statuses_unreadable"


@dataclass(frozen=True)
class CommitStatus:
    """creator: who set it, a login at the forge; None: the forge's own CI. target_url None: there is no page of it."""

    context: str
    state: StatusState
    description: str
    target_url: str | None
    creator: str | None


@dataclass(frozen=True)
class RequiredStatuses:
    """The contexts that a commit needs. minutes: how long to wait for them. is_late: they are over."""

    contexts: tuple[str, ...]
    minutes: int
    is_late: bool


def context_fault(context: str) -> str | None:
    """Why a project can't require this context; None if it can."""
    if context.casefold().startswith(OWN_CONTEXTS):
        return f"Contexts that start with {OWN_CONTEXTS} are the platform's own"
    return None
