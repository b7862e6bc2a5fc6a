"""Bisection of a red group: decides from test results alone, without a database, which member broke the tests.

A group of n members has n + 1 commits: position 0 is the default branch's head that the group is built on, position p
is the release branch with the first p members merged. No member is named if results do not repeat, or if the tests
fail at position 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from common.values.testing.build_results import BASE_RUNS, TrialRun
from common.values.testing.check import JUDGED_BY

WHOLE_RUNS = 3
"""Most runs of the whole branch if their results differ: the majority decides whether the group goes on."""
CONFIRMING_RUNS = 5
"""Runs of each of the two commits, with and without the suspected member, that must agree before it is named.

At any rate of random failures, an innocent member is named in less than 1 of 1,000 groups of six (with 2 runs: in up
to 1 of 20).
"""
GREEN_RUNS = 5
"""How often the whole branch must be green where the project says no number, as far as MORE_SECONDS allow.

A member that breaks the tests in four of five runs is then green by luck in 1 of 3,000 groups; with one run, in 1 of 5.
"""
MORE_SECONDS = 120.0
"""How long the runs after the first green one may take together where the project says no number."""


@dataclass(frozen=True)
class RunNext:
    """Nothing is decided yet: run the tests on the commit at this position, again if they ran there before."""

    position: int


@dataclass(frozen=True)
class Passed:
    """The whole branch is green. is_flaky: at least one of its runs was red."""

    is_flaky: bool = False


@dataclass(frozen=True)
class BaseIsRed:
    """The tests fail on the default branch, without any member."""


@dataclass(frozen=True)
class Flaky:
    """The commit at this position was both red and green: the tests say nothing about the members."""

    position: int


@dataclass(frozen=True)
class Culprit:
    """The tests always pass before this position and always fail from it on: its member broke them."""

    position: int


Decision = RunNext | Passed | BaseIsRed | Flaky | Culprit


class Tally:
    """How often the commit at each position passed and failed."""

    def __init__(self, runs: Sequence[TrialRun]) -> None:
        self._runs = runs

    def passed(self, position: int) -> int:
        return sum(run.passed for run in self._runs if run.position == position)

    def failed(self, position: int) -> int:
        return sum(not run.passed for run in self._runs if run.position == position)

    def total(self, position: int) -> int:
        return self.passed(position) + self.failed(position)

    def unstable(self) -> int | None:
        """The first position that both passed and failed; None if there is none so far."""
        positions = sorted({run.position for run in self._runs})
        return next((at for at in positions if self.passed(at) and self.failed(at)), None)

    def greens(self) -> set[int]:
        return {run.position for run in self._runs if run.passed}

    def reds(self) -> set[int]:
        return {run.position for run in self._runs if not run.passed}


def decide(count: int, runs: Sequence[TrialRun], *, green_runs: int = 1) -> Decision:
    """Return what to do next, given the runs so far of a group of `count` members. Their order does not matter.

    The whole branch is tested first, twice if it is red; then the default branch's head; then the middle between the
    last green and the first red commit, until they are neighbours; then these two again, to confirm. green_runs: how
    often the whole branch must be green; if more than once, it must never be red. 0: GREEN_RUNS times, or as often as
    MORE_SECONDS allow.
    """
    tally = Tally(runs)
    if tally.passed(count):
        return _judge_whole(count, tally, green_runs or _affordable_runs(count, runs))
    if tally.failed(count) < WHOLE_RUNS - 1:
        return RunNext(count)
    unstable = tally.unstable()
    if unstable is not None:
        return Flaky(unstable)
    if tally.failed(0):
        return BaseIsRed() if tally.failed(0) >= BASE_RUNS else RunNext(0)
    if not tally.passed(0):
        return RunNext(0)
    return _search(tally)


def _affordable_runs(count: int, runs: Sequence[TrialRun]) -> int:
    """GREEN_RUNS while one more green run is likely to fit into MORE_SECONDS, else those that there are.

    1 if a run alone takes longer.
    """
    took = [run.seconds for run in runs if run.position == count and run.passed]
    if max(took) > MORE_SECONDS:
        return 1
    return GREEN_RUNS if sum(took[1:]) + max(took) <= MORE_SECONDS else len(took)


def _judge_whole(count: int, tally: Tally, green_runs: int) -> Decision:
    """Decide where the whole branch passed at least once."""
    if not tally.failed(count):
        return Passed() if tally.passed(count) >= green_runs else RunNext(count)
    if green_runs > 1:
        return Flaky(count)
    if 2 * tally.passed(count) > WHOLE_RUNS:
        return Passed(is_flaky=True)
    return Flaky(count) if 2 * tally.failed(count) > WHOLE_RUNS else RunNext(count)


def _search(tally: Tally) -> Decision:
    """Decide where the base is green, the whole branch red, and no position has both results."""
    low, high = max(tally.greens()), min(tally.reds())
    if high - low > 1:
        return RunNext((low + high) // 2)
    side = min((high, low), key=tally.total)
    return Culprit(high) if tally.total(side) >= CONFIRMING_RUNS else RunNext(side)


def command_digest(command: str, setup_command: str | None = None) -> str:
    """SHA-256 of a test command and the setup command before it, in hexadecimal: the key under which their results are
    stored, with JUDGED_BY, by which they were judged."""
    both = f"{JUDGED_BY}\0{command}" if setup_command is None else f"{JUDGED_BY}\0{setup_command}\0{command}"
    return hashlib.sha256(both.encode()).hexdigest()
