"""The files that a project's forbidden paths match now, read from the forge while the caller waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marshmallow import fields

from common.errors import ProviderRefused
from common.machine.text import path_text
from common.providers.forge import Entry, Listing, forge
from common.values.delivery.project_location import ProjectLocation
from common.values.path_patterns import compiled
from web.api.timed_reads import read_in_time
from web.http.fields import Schema

MOST_FILES = 50
"""How many matching files of one pattern the reply lists."""
MOST_COMPARISONS = 100_000
"""How many files times patterns are compared: about half a second, in a process that serves other requests too."""


class PatternMatchesSchema(Schema):
    """files: the first matching files. total: how many of the compared files match."""

    pattern = fields.String()
    files = fields.List(fields.String())
    total = fields.Integer()


class ForbiddenPathsSchema(Schema):
    """headSha: null if the repository does not exist yet. truncated: not all of its files were compared."""

    head_sha = fields.String(allow_none=True)
    patterns = fields.List(fields.Nested(PatternMatchesSchema))
    truncated = fields.Boolean()


@dataclass(frozen=True)
class Matches:
    """The files that one pattern matches: the first MOST_FILES, and how many there are."""

    pattern: str
    files: list[str]
    total: int


@dataclass(frozen=True)
class MatchedFiles:
    """What each pattern matches at a commit. head_sha: None if there is no repository yet."""

    head_sha: str | None
    patterns: list[Matches]
    truncated: bool


def match_files(location: ProjectLocation, patterns: Sequence[str]) -> MatchedFiles:
    """What each pattern matches at the default branch's head. ProviderUnavailable after 5 s."""
    head, listing = read_in_time(lambda: _list(location), f"the files of project {location.project_id}")
    looked_at = listing.entries[: MOST_COMPARISONS // max(len(patterns), 1)]
    found = [_matches(pattern, looked_at) for pattern in patterns]
    return MatchedFiles(head, found, listing.is_truncated or len(looked_at) < len(listing.entries))


def _list(location: ProjectLocation) -> tuple[str | None, Listing]:
    repository = location.repository
    try:
        head = forge().read_head(repository, location.default_branch)
    except ProviderRefused as error:
        if error.code != "no_repository":
            raise
        head = None
    return head, Listing((), is_truncated=False) if head is None else forge().list_files(repository, commit=head)


def _matches(pattern: str, entries: Sequence[Entry]) -> Matches:
    covers = compiled((pattern,)).covers
    paths = [one.path for one in entries if covers(one.path, leads_elsewhere=one.leads_elsewhere)]
    shown = [path_text(path) for path in paths[:MOST_FILES]]
    return Matches(pattern, shown, len(paths))
