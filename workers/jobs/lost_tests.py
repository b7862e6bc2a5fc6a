"""Compares the tests that ran on a commit with those that ran on the commit below it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.values.test_report import TestReport, TestResult
from workers.jobs.test_bodies import Bodies

RAN = (TestResult.PASSED, TestResult.FAILED)
SKIPPED, EMPTIED, GONE = "skipped", "emptied", "does not run"


@dataclass(frozen=True)
class Loss:
    """A test that ran below and shows nothing any more. why: SKIPPED, EMPTIED or GONE."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.why}: {self.name}"


@dataclass(frozen=True)
class Comparison:
    """losses, new: sorted by name. changed: tests of both commits with another body. renamed: how many.

    is_by_body: False if no bodies could be read, so that tests are known by their names alone.
    """

    losses: Sequence[Loss]
    new: Sequence[str]
    changed: Sequence[str]
    renamed: int
    is_by_body: bool = True


def compare(base: TestReport, head: TestReport, before: Bodies, after: Bodies) -> Comparison:
    """Compare two usable reports. before, after: the bodies in the files of tests that differ.

    A test that does not run any more is not lost if a new one that ran has its body: it was renamed or moved. Each new
    test stands for one.
    """
    ran_before, ran_now = base.names(*RAN), head.names(*RAN)
    skipped = head.names(TestResult.SKIPPED)
    new = ran_now - ran_before - base.names(TestResult.SKIPPED)
    losses, renamed = [], set[str]()
    for name in sorted(ran_before - ran_now):
        if name in skipped:
            losses.append(Loss(name, SKIPPED))
            continue
        again = _with_the_body_of(name, before, after, sorted(new - renamed))
        if again is None:
            losses.append(Loss(name, GONE))
        else:
            renamed.add(again)
    both = sorted(ran_before & ran_now)
    losses += [Loss(name, EMPTIED) for name in both if _is_emptied(name, before, after)]
    changed = [name for name in both if before.is_known(name) and before.of(name) != after.of(name)]
    return Comparison(sorted(losses, key=lambda loss: loss.name), sorted(new - renamed), changed, len(renamed))


def all_lost(base: TestReport) -> Comparison:
    """What to compare with a commit that has no report."""
    return Comparison([Loss(name, GONE) for name in sorted(base.names(*RAN))], [], [], 0)


def _with_the_body_of(name: str, before: Bodies, after: Bodies, among: Collection[str]) -> str | None:
    if not before.can_fail(name):
        return None
    wanted = before.of(name)
    return next((other for other in among if after.can_fail(other) and wanted & after.of(other)), None)


def _is_emptied(name: str, before: Bodies, after: Bodies) -> bool:
    return before.can_fail(name) and after.is_known(name) and not after.can_fail(name)
