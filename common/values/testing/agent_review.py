"""The review of proven work by a second driver or model: what a project wants, and what the reviewer says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

AGENT_REVIEW = "agent_review"
"""The check of a proof that says what the reviewer says."""
NO_REVIEW = "no_review"
"""Its code if the project requires a review and there was none: a person is asked."""
OVERRULED = "review_overruled"
"""Its code if a person goes on without the review."""
NO_AGENT = "no_agent"
"""Its code while it waits for an agent."""
MOST_COMMENTS = 50
LONGEST_SUMMARY = 10_000
LONGEST_BODY = 4_000
LONGEST_PATH = 1_000


class Purpose(StrEnum):
    """What a run is for."""

    WORK = "work"
    """It changes the task's branch."""
    REVIEW = "review"
    """It reads a proven commit and says what it thinks of it."""


class ReviewMode(StrEnum):
    """What a verdict does."""

    ADVISORY = "advisory"
    """People read it."""
    BLOCKING = "blocking"
    """Requested changes send the work back to its agent."""


class Verdict(StrEnum):
    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"


@dataclass(frozen=True)
class AgentReview:
    """Which agent reviews. model: None: the driver's own choice. limits: of each review, as a project's are stored."""

    mode: ReviewMode
    driver: str
    model: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ReviewComment:
    """A remark on a line of a file. side: `old` for the version before the change, else `new`."""

    path: str
    line: int
    body: str
    side: str = "new"


def read_agent_review(stored: Mapping[str, object] | None) -> AgentReview | None:
    """What a project's row says; None: no agent reviews."""
    if not stored:
        return None
    return AgentReview(
        ReviewMode(str(stored["mode"])),
        str(stored["driver"]),
        cast("str | None", stored.get("model")),
        cast("Mapping[str, float]", stored.get("limits") or {}),
    )
