"""What is promised of a cost that is measured at several sizes, as figures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tests.bench.figures import Figure, number

MOST_GROWTH = "≤ 1.5"


class Promise(StrEnum):
    FLAT = "flat"
    """It costs the same at every size."""
    LINEAR = "linear"
    """Each thing costs no more at a larger size."""


@dataclass(frozen=True)
class Axis:
    """The sizes at which costs are measured, rising. thing: what there are so many of. plot: their name in the title of
    a plot. where: the database; '' if it does not matter.
    """

    thing: str
    plot: str
    sizes: tuple[int, ...]
    where: str = ""

    def upto(self, most: int) -> Axis:
        """Without the sizes above it; at least the first one is left."""
        kept = tuple(size for size in self.sizes if size <= most) or self.sizes[:1]
        return replace(self, sizes=kept)

    def count(self, size: int) -> str:
        """Such as `1 agent` and `1,000 agents`."""
        return f"{size:,} {self.thing}{'' if size == 1 else 's'}"


@dataclass(frozen=True)
class Cost:
    """One cost. since: the size from which on it can be compared, such as the first with two pages. is_of_one: it is
    measured for one of the things, so it is not divided by their number.
    """

    what: str
    promise: Promise
    unit: str = "ms"
    since: int = 0
    is_of_one: bool = False

    def at(self, axis: Axis, size: int, rounds: Sequence[float]) -> Figure:
        """Its figure at one of the axis's sizes. rounds: what was measured in each.

        A flat cost is compared with the smallest size; one for each thing, with the size before.
        """
        is_linear = self.promise is Promise.LINEAR
        is_divided = is_linear and not self.is_of_one
        parts = [self.what, f"for each {axis.thing}" if is_divided else "", axis.where]
        line = ", ".join(part for part in parts if part)
        sizes = [one for one in axis.sizes if one >= self.since]
        base = None
        if size in sizes[1:]:
            base = sizes[sizes.index(size) - 1] if is_linear else sizes[0]
        return Figure(
            f"{line}, {axis.count(size)}",
            [one / size for one in rounds] if is_divided else rounds,
            self.unit,
            ratio_of=None if base is None else f"{line}, {axis.count(base)}",
            goal=MOST_GROWTH if base is not None and size == sizes[-1] else None,
            note=f"{number(statistics.median(rounds))} {self.unit} in all" if is_divided else "",
            line=None if self.unit == STATEMENTS else line,
            size=size,
            size_unit=axis.plot,
        )


STATEMENTS = "statements"
"""Unit of a cost that is no time: it has no line in a plot."""


TRIES = 4
"""The quickest of so many counts: what else the machine did is not the cost's, and it comes and goes between sizes."""


def milliseconds(
    act: Callable[[], object], rounds: int, before: Callable[[], None] | None = None, tries: int = TRIES
) -> list[float]:
    """How long it takes at best, in each round. What comes first, with cold caches, is thrown away.

    before: what each try begins with, unmeasured.
    """
    taken = []
    for _ in range(rounds * tries + 1):
        if before is not None:
            before()
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return [min(taken[first : first + tries]) for first in range(1, len(taken), tries)]
