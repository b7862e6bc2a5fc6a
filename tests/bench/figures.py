"""What a part of the benchmark yields, and how two programs are measured in turn.

A part is a module with `figures(times)` that yields Figures. It may also yield (what, text) pairs: only shown.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

TIMES = 5
"""Rounds of a comparison, unless the caller says otherwise."""
RATES = frozenset({"a second", "×"})
"""Units of which more is better. Of every other unit less is better."""
Result = TypeVar("Result")
_GOAL = re.compile(r"([≥≤]) ?(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    what: its name, once in a part. value: one number, or one for each round; the median is shown. ratio_of: `what` of
    the figure of the same part that it is compared with; the order in which both are yielded does not matter. None: it
    is compared with nothing. goal: `≥ 0.4` or `≤ 1.6`, of the ratio if there is one, else of the value. note: words
    shown behind it, such as `p99 41 ms`.
    """

    what: str
    value: float | Sequence[float]
    unit: str
    ratio_of: str | None = None
    goal: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.goal is not None and _GOAL.fullmatch(self.goal) is None:
            raise ValueError(f"{self.what}: the goal {self.goal!r} is neither like '≥ 0.4' nor like '≤ 1.6'")
        if not self.rounds:
            raise ValueError(f"{self.what}: no round was measured")

    @property
    def rounds(self) -> list[float]:
        return [float(self.value)] if isinstance(self.value, int | float) else [float(one) for one in self.value]


@dataclass(frozen=True)
class Missing:
    """What could not be measured, such as a peer that can't be installed, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Version:
    """A program that took part, and its version."""

    name: str
    version: str


Found = Figure | Missing | Version | tuple[str, str]


@dataclass(frozen=True)
class Measured:
    """A Figure with its medians. ratio: None if it is compared with nothing, or its base was not measured."""

    part: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    ratio_of: str | None = None
    goal: str | None = None
    note: str = ""

    @property
    def compared(self) -> float | None:
        """What is compared with an earlier run: its ratio, or its value if that is a ratio itself. None: nothing."""
        return self.value if self.unit == "×" and self.ratio_of is None else self.ratio

    @property
    def is_more_better(self) -> bool:
        """Whether a higher ratio is the better one."""
        return self.goal.startswith("≥") if self.goal else self.unit in RATES

    @property
    def is_goal_reached(self) -> bool | None:
        """None: it has no goal, or what the goal is about was not measured."""
        found = _GOAL.fullmatch(self.goal or "")
        value = self.ratio if self.ratio_of else self.value
        if found is None or value is None:
            return None
        return value >= float(found[2]) if found[1] == "≥" else value <= float(found[2])

    def to_json(self) -> dict[str, Any]:
        """Its fields without those that say nothing, numbers to four digits."""
        kept = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in kept.items()}


def number(value: float) -> str:
    """Three digits: `0.0523`, `12.3`, `1,234`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def shown(found: Found) -> tuple[str, str]:
    """Its name and what a line says of it before its ratio is known."""
    match found:
        case Figure():
            text = f"{number(statistics.median(found.rounds))} {found.unit}"
            return found.what, f"{text}, {found.note}" if found.note else text
        case Missing():
            return found.what, f"not measured: {found.why}"
        case Version():
            return found.name, found.version
    return found


def measured(part: str, figures: Sequence[Figure]) -> list[Measured]:
    """The medians of a part's figures, in their order.

    Where a figure and its base have the same number of rounds, the ratio is the median of the rounds' ratios, so what
    else the machine did in a round is in both; else it is the ratio of the medians. A base of 0 gives no ratio.
    """
    rounds = {figure.what: figure.rounds for figure in figures}
    if len(rounds) < len(figures):
        raise ValueError(f"{part}: two figures have one name: {[figure.what for figure in figures]}")
    found = []
    for figure in figures:
        base = rounds.get(figure.ratio_of) if figure.ratio_of else None
        ratio = _ratio(figure.rounds, base) if base else None
        found.append(
            Measured(
                part, figure.what, statistics.median(figure.rounds), figure.unit, ratio, figure.ratio_of, figure.goal,
                figure.note,
            )
        )  # fmt: skip
    return found


def _ratio(own: Sequence[float], base: Sequence[float]) -> float | None:
    if not all(base):
        return None
    if len(own) == len(base):
        return statistics.median(one / other for one, other in zip(own, base, strict=True))
    return statistics.median(own) / statistics.median(base)


def alternate(sides: Mapping[str, Callable[[], Result]], times: int = TIMES) -> dict[str, list[Result]]:
    """Measure each side once in every round, in turn; every other round runs backwards. Returns the rounds of each.

    One round more comes first and is thrown away: caches are cold in it.
    """
    rounds: dict[str, list[Result]] = {name: [] for name in sides}
    for number in range(times + 1):
        for name, measure in list(sides.items()) if number % 2 else reversed(list(sides.items())):
            result = measure()
            if number:
                rounds[name].append(result)
    return rounds
