"""A pull request at the forge, and what people say on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PullState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True)
class PullRequest:
    """merged_commit is the commit on the base branch that contains it, None unless merged."""

    number: int
    url: str
    head: str
    base: str
    head_sha: str
    title: str
    state: PullState
    merged_commit: str | None = None


@dataclass(frozen=True)
class PullComment:
    """A person's comment on a pull request. path and line are None for a general one.

    id: the forge's own, unique within one pull request. asks_for_change: it is part of a review that says so.
    """

    id: str
    author: str
    body: str
    path: str | None = None
    line: int | None = None
    asks_for_change: bool = False


@dataclass(frozen=True)
class PullReview:
    """A pull request as it is now, with what people said on it, oldest first."""

    pull: PullRequest
    comments: tuple[PullComment, ...] = ()
