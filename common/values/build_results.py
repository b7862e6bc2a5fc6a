"""What the tests of a group's branch found in one attempt at building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.values.json_codec import decode


@dataclass(frozen=True)
class TrialRun:
    """One run of the tests, on the commit at this position: 0 is the default branch, p the first p members merged."""

    position: int
    passed: bool


@dataclass(frozen=True)
class BuildResults:
    """command: the digest of what was run, None before anything was. reason, log: of the last red run, else empty.

    verdict: `flaky` or `base_is_red` once the search ended with one of these, and says: what was said of it; else None.
    """

    command: str | None = None
    runs: tuple[TrialRun, ...] = ()
    reason: str = ""
    log: str = ""
    verdict: str | None = None
    says: str | None = None


def read_build(stored: Mapping[str, object]) -> BuildResults:
    """The results as a group's row keeps them. An older AiWorker wrote each run as a pair `[position, passed]`."""
    runs = stored.get("runs") or []
    assert isinstance(runs, list)
    pairs = [dict(zip(("position", "passed"), run, strict=True)) if isinstance(run, list) else run for run in runs]
    return decode(BuildResults, {**stored, "runs": pairs}, is_own=True)
