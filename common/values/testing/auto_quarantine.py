"""A project's rule that puts flaky tests into quarantine, and the flakes that it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

FEWEST_COMMITS = 2
"""One flake alone may be the doing of one task: an agent could have a test ignored that stands in its way."""
MOST_COMMITS = 50
EVIDENCE_DAYS = 90
"""Older flakes do not count: what was flaky then may long have been mended."""
MOST_FLAKES = 100
"""Kept of each test. A flake that is forgotten could be counted again by a proof that still waits."""


class Stopped(StrEnum):
    """Why the rule puts no test into quarantine now."""

    OWNER = "owner"
    """Its owner may not maintain the project any more."""
    FULL = "full"
    """As many tests as mostQuarantined allows are in quarantine."""


@dataclass(frozen=True)
class AutoQuarantine:
    """commits: a test that was red and green on so many goes into quarantine. days: for how long. owner: the username
    of the person who answers for that."""

    commits: int
    days: int
    owner: str


@dataclass(frozen=True)
class Flake:
    """A commit on which the test was red and green and neither new nor changed. task_id: whose commit; None: the
    default branch's. at: when that was noted, in seconds since 1970 (UTC)."""

    commit_sha: str
    task_id: str | None
    at: float


@dataclass(frozen=True)
class Evidence:
    """The flakes of one test, the newest last."""

    flakes: tuple[Flake, ...] = ()

    def knows(self, commit_sha: str) -> bool:
        return any(flake.commit_sha == commit_sha for flake in self.flakes)

    def with_flake(self, flake: Flake) -> Evidence:
        return replace(self, flakes=(*self.flakes, flake)[-MOST_FLAKES:])

    def counted(self, now: datetime, after: datetime | None) -> int:
        """How many commits count: those of one task once, none up to `after`, none of more than EVIDENCE_DAYS ago."""
        oldest = now - timedelta(days=EVIDENCE_DAYS)
        start = max(oldest, after).timestamp() if after is not None else oldest.timestamp()
        return len({flake.task_id or flake.commit_sha for flake in self.flakes if flake.at > start})


def read_auto_quarantine(stored: Mapping[str, object] | None) -> AutoQuarantine | None:
    """What a project's row says; None: tests are put into quarantine by hand alone."""
    if not stored:
        return None
    return AutoQuarantine(int(str(stored["commits"])), int(str(stored["days"])), str(stored["owner"]))
