"""Which commit of a group made its tests red: a decision from the results of the runs alone, without a database.

A group of n members has n + 1 commits: position 0 is the default branch's head that it is built on, position p the
release branch with the first p members merged. Nobody is named by results that do not repeat, nor while the tests fail
without any member.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

WHOLE_RUNS = 3
"""Most runs of the whole branch whose results differ: the majority decides whether it goes on."""
BASE_RUNS = 2
"""Red runs of the default branch's head before it is called red."""
CONFIRMING_RUNS = 5
"""Runs on both sides of a verdict, all with the same result, before a member is named.

However often a test fails at random, an innocent member is named in less than 1 of 1,000 groups of six (with 2 runs:
in up to 1 of 20).
"""


@dataclass(frozen=True)
class Run:
    """One run of the tests, on the commit at this position."""

    position: int
    passed: bool


@dataclass(frozen=True)
class RunNext:
    """Nothing is decided yet: run the tests on the commit at this position (once more)."""

    position: int


@dataclass(frozen=True)
class Passed:
    """The whole branch is green. is_flaky: one of its runs was red."""

    is_flaky: bool = False


@dataclass(frozen=True)
class BaseIsRed:
    """The tests fail without any member, too."""


@dataclass(frozen=True)
class Flaky:
    """The commit at this position was both red and green: the tests say nothing about the members."""

    position: int


@dataclass(frozen=True)
class Culprit:
    """The tests always fail from this position on, and always pass before it."""

    position: int


Decision = RunNext | Passed | BaseIsRed | Flaky | Culprit


class Tally:
    """How often the commit at each position passed and failed."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def passed(self, position: int) -> int:
        return sum(run.passed for run in self._runs if run.position == position)

    def failed(self, position: int) -> int:
        return sum(not run.passed for run in self._runs if run.position == position)

    def total(self, position: int) -> int:
        return self.passed(position) + self.failed(position)

    def unstable(self) -> int | None:
        """The first position with both results; None if every result has repeated so far."""
        positions = sorted({run.position for run in self._runs})
        return next((at for at in positions if self.passed(at) and self.failed(at)), None)

    def greens(self) -> set[int]:
        return {run.position for run in self._runs if run.passed}

    def reds(self) -> set[int]:
        return {run.position for run in self._runs if not run.passed}


def decide(count: int, runs: Sequence[Run]) -> Decision:
    """What follows from the runs so far of a group of `count` members. The order of the runs does not matter.

    The whole branch comes first, twice if it is red; then its base, then halves between the two, then both sides of
    the place where the results change.
    """
    tally = Tally(runs)
    if tally.passed(count):
        return _judge_whole(count, tally)
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


def _judge_whole(count: int, tally: Tally) -> Decision:
    """The whole branch passed at least once."""
    if not tally.failed(count):
        return Passed()
    if 2 * tally.passed(count) > WHOLE_RUNS:
        return Passed(is_flaky=True)
    return Flaky(count) if 2 * tally.failed(count) > WHOLE_RUNS else RunNext(count)


def _search(tally: Tally) -> Decision:
    """The base is green, the whole red, and every result has repeated so far."""
    low, high = max(tally.greens()), min(tally.reds())
    if high - low > 1:
        return RunNext((low + high) // 2)
    side = min((high, low), key=tally.total)
    return Culprit(high) if tally.total(side) >= CONFIRMING_RUNS else RunNext(side)


def command_digest(command: str) -> str:
    """Names a test command where its results are stored."""
    return hashlib.sha256(command.encode()).hexdigest()
