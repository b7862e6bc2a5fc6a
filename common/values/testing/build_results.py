"""The test results of a group's branch in one attempt at building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.values.json_codec import decode

BASE_RUNS = 2
"""Red runs of a commit of the default branch after which it counts as red."""


@dataclass(frozen=True)
class TrialRun:
    """One run of the tests on the commit at `position`: 0 is the default branch, p has the first p members merged.

    seconds: how long it took, with the wait for room; 0 if nobody looked.
    """

    position: int
    passed: bool
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class MergedStatuses:
    """What the repository's own CI says of the merged commit. since: when its tests had passed, in seconds since 1970
    (UTC). status: running, passed or failed. says: the sentence about it; empty before it was asked."""

    since: float
    status: str = "running"
    says: str = ""


@dataclass(frozen=True)
class BuildResults:
    """command: the digest of the test command; None before the first run, and if the project names no tests. reason,
    log: of the last red run, or empty.

    verdict: `flaky` or `base_is_red` if bisection ended with one of these, else None. says: the sentence about the
    verdict, or None. statuses: None until the tests have passed, and where the project requires none. since: when the
    present run began, in seconds since 1970 (UTC); None if none runs. ignored: tests in quarantine that failed, masked.
    green_runs: the project's `group_test_runs` when the first run was planned, by which the results are judged even if
    it is changed; None before that. quarantined: the tests in quarantine then; None also if an older version planned
    it. check_id: the runtime's check for the present run; empty if there is none. left: checks of earlier attempts,
    which may still run. settings: those by which the tests of this attempt run (see Check); None before the first run,
    and if an older version planned it.
    """

    command: str | None = None
    runs: tuple[TrialRun, ...] = ()
    reason: str = ""
    log: str = ""
    verdict: str | None = None
    says: str | None = None
    statuses: MergedStatuses | None = None
    since: float | None = None
    ignored: tuple[str, ...] = ()
    green_runs: int | None = None
    quarantined: tuple[str, ...] | None = None
    check_id: str = ""
    left: tuple[str, ...] = ()
    settings: str | None = None

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The checks to be stopped if nobody needs these results any more."""
        return (*self.left, self.check_id) if self.check_id else self.left


def read_build(stored: Mapping[str, object]) -> BuildResults:
    """Read the JSON of a group's row. An older AiWorker wrote each run as a pair `[position, passed]`."""
    runs = stored.get("runs") or []
    assert isinstance(runs, list)
    pairs = [dict(zip(("position", "passed"), run, strict=True)) if isinstance(run, list) else run for run in runs]
    return decode(BuildResults, {**stored, "runs": pairs}, is_trusted=True)
