"""The table of a run: for a terminal, and, of what has a goal, for docs/performance.md.

`python -m tests.bench.report` writes the recorded run into docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.bench import record
from tests.bench.figures import Measured, number
from tests.bench.record import PartResult, Run
from tests.servers import ROOT

PAGE = ROOT / "docs" / "performance.md"
HEADING = "## Goals and the recorded run"


def cells(figure: Measured) -> tuple[str, str, str, str]:
    """What, value, ratio, goal."""
    value = f"{number(figure.value)} {figure.unit}" + (f", {figure.note}" if figure.note else "")
    ratio = f"{number(figure.ratio)} × {figure.ratio_of}" if figure.ratio is not None else ""
    return figure.what, value, ratio, f"{figure.goal}{_reached(figure)}" if figure.goal else ""


def _reached(figure: Measured) -> str:
    return {None: "", True: " reached", False: " **missed**"}[figure.is_goal_reached]


def lines(part: PartResult) -> Iterator[str]:
    """A part's table for a terminal."""
    yield f"── {part.name}"
    rows = [cells(figure) for figure in part.figures] + [(what, text, "", "") for what, text in part.texts]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        yield (
            "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True))
            .replace("**", "")
            .rstrip()
        )
    for missing in part.missing:
        yield f"not measured: {missing.what}: {missing.why}"
    if part.failed:
        yield f"FAILED: {part.failed}"


def listed(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs.items())


def section(run: Run) -> str:
    """The text below HEADING: a line for each figure that has a goal."""
    days = sorted({part.on for part in run.parts.values()})
    rows = [
        f"| {figure.what} | {_measured(figure)} | {figure.goal}{_missed(figure)} |"
        for part in run.parts.values()
        for figure in part.figures
        if figure.goal
    ]
    return "\n".join(
        [
            f"Recorded from {days[0]} to {days[-1]} on {run.machine['cores']}.",
            "",
            "| what | measured | goal |",
            "|---|---|---|",
            *rows,
        ]
    )


def _measured(figure: Measured) -> str:
    """Its ratio if it has one, as the goal is about that."""
    return f"{number(figure.value)} {figure.unit}" if figure.ratio is None else f"{number(figure.ratio)} ×"


def _missed(figure: Measured) -> str:
    return " **missed**" if figure.is_goal_reached is False else ""


def page(run: Run, text: str) -> str:
    """The text of docs/performance.md with this run in it."""
    head, tail = text.split(f"{HEADING}\n", 1)
    after = tail[tail.index("\n## ") :]
    return f"{head}{HEADING}\n\n{section(run)}\n{after}"


def write() -> None:
    """Bring docs/performance.md in line with the record. Safe to repeat."""
    run = record.read()
    if run is not None:
        PAGE.write_text(page(run, PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write()
