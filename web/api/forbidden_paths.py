"""What a project's forbidden paths match today, looked up at the forge while the caller waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import fields

from common.errors import ProviderRefused
from common.machine.text import path_text
from common.path_patterns import compiled
from common.providers.forge import Entry, Listing, forge
from common.values.place import Place
from web.http.fields import Schema
from web.http.provider_read import look

MOST_FILES = 50
"""How many files of one pattern are named."""
MOST_LOOKS = 100_000
"""How many files times patterns are looked at: half a second of a process that serves others, too."""


class PatternMatches(Schema):
    """files: the first of them; total: how many there are among those that were looked at."""

    pattern = fields.String()
    files = fields.List(fields.String())
    total = fields.Integer()


class ForbiddenPaths(Schema):
    """headSha: null where the repository is not there yet. truncated: it has more files than were looked at."""

    head_sha = fields.String(allow_none=True)
    patterns = fields.List(fields.Nested(PatternMatches))
    truncated = fields.Boolean()


def match_files(place: Place, patterns: Sequence[str]) -> dict[str, Any]:
    """What each of them covers at the default branch's head. ProviderUnavailable above 5 s."""
    head, listing = look(lambda: _list(place), f"the files of project {place.project_id}")
    looked_at = listing.entries[: MOST_LOOKS // max(len(patterns), 1)]
    found = [_matches(pattern, looked_at) for pattern in patterns]
    return {
        "head_sha": head,
        "patterns": found,
        "truncated": listing.is_truncated or len(looked_at) < len(listing.entries),
    }


def _list(place: Place) -> tuple[str | None, Listing]:
    repository = place.repository
    try:
        head = forge().read_head(repository, place.default_branch)
    except ProviderRefused as error:
        if error.code != "no_repository":
            raise
        head = None
    return head, Listing((), is_truncated=False) if head is None else forge().list_files(repository, commit=head)


def _matches(pattern: str, entries: Sequence[Entry]) -> dict[str, Any]:
    covers = compiled((pattern,)).covers
    paths = [one.path for one in entries if covers(one.path, leads_elsewhere=one.leads_elsewhere)]
    shown = [path_text(path) for path in paths[:MOST_FILES]]
    return {"pattern": pattern, "files": shown, "total": len(paths)}
