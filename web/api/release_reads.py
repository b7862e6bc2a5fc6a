"""What views of releases and deployments read from the forge while a caller waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge import Commits, Diff, forge
from common.values.delivery.project_location import ProjectLocation
from web.api.timed_reads import read_in_time

T = TypeVar("T")

MOST_COMMITS = 200
_ABSENT = {"no_commit", "no_repository", "unrelated"}


def read_commits(
    location: ProjectLocation, base: str | None, head: str | None, *, limit: int = MOST_COMMITS
) -> Commits | None:
    """The commits of head that base lacks; None where one of the two is None or not at the forge.

    ProviderUnavailable if the forge takes longer than 5 s.
    """
    if base is None or head is None:
        return None
    what = f"the commits up to {head} in {location.repository.name}"
    return read_in_time(
        lambda: _unless_absent(lambda: forge().read_commits(location.repository, base=base, head=head, limit=limit)),
        what,
    )


def read_diff(location: ProjectLocation, base: str | None, head: str | None) -> Diff | None:
    """The diff from base to head; as read_commits."""
    if base is None or head is None:
        return None
    what = f"the diff up to {head} in {location.repository.name}"
    return read_in_time(lambda: _unless_absent(lambda: forge().diff(location.repository, base=base, head=head)), what)


def count_commits(location: ProjectLocation, base: str | None, head: str | None) -> int | None:
    """How many commits head has that base lacks, merges left out; None if that is not known now."""
    try:
        found = read_commits(location, base, head, limit=1)
    except (ProviderUnavailable, ProviderRefused):
        return None
    return None if found is None else found.total


def read_default_head(location: ProjectLocation) -> str | None:
    """The head of the default branch; None if there is none, or if the forge does not say it in time."""
    what = f"the head of {location.default_branch} in {location.repository.name}"
    try:
        return read_in_time(lambda: forge().read_head(location.repository, location.default_branch), what)
    except (ProviderUnavailable, ProviderRefused):
        return None


def _unless_absent(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except ProviderRefused as error:
        if error.code in _ABSENT:
            return None
        raise
