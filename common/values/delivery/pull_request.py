"""A pull request at the forge, and people's comments on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class PullState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True)
class PullRequest:
    """merged_commit: the commit on the base branch that contains it; None unless merged.

    is_closed_by_run: it is closed, and the credential of an agent's run did so. False if the server can't tell.
    """

    number: int
    url: str
    head: str
    base: str
    head_sha: str
    title: str
    state: PullState
    merged_commit: str | None = None
    is_closed_by_run: bool = False


@dataclass(frozen=True)
class PullComment:
    """A person's comment on a pull request. path, line, side: None for a general comment.

    side: `new`, or `old` if the line is one of the version before the change.
    id: given by the forge, unique within one pull request. asks_for_change: it belongs to a review that requests
    changes.
    """

    id: str
    author: str
    body: str
    path: str | None = None
    line: int | None = None
    side: str | None = None
    asks_for_change: bool = False


@dataclass(frozen=True)
class PullPicture:
    """A picture for a pull request. name: of its file. title: what it shows, on one line. content: a PNG."""

    name: str
    title: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class PullReview:
    """The present state of a pull request, with people's comments, oldest first."""

    pull: PullRequest
    comments: tuple[PullComment, ...] = ()
