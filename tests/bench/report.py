"""The table of a run: for a terminal, and for docs/performance.md.

`python -m tests.bench.report` writes the recorded run into docs/performance.md and its plots into docs/images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.bench import record
from tests.bench.figures import Measured, number
from tests.bench.plots import write_plots
from tests.bench.record import PartResult, Run
from tests.servers import ROOT

PAGE = ROOT / "docs" / "performance.md"
HEADING = "## The last recorded run"
TITLES = {
    "start": "Start and memory",
    "api": "API",
    "grow": "Growth",
    "sizes": "Sockets, agents, groups and projects",
    "ws": "Live events",
    "queue": "Jobs",
    "schedule": "Scheduling",
    "handover": "Handing out tasks",
    "proof": "Proofs",
    "gateway": "Model gateway",
    "sandbox": "Sandbox",
    "page": "Page",
    "scale": "More processes",
    "failover": "Failover",
    "kills": "Killed workers",
}


def cells(figure: Measured) -> tuple[str, str, str, str]:
    """What, value, ratio, goal."""
    value = f"{number(figure.value)} {figure.unit}" + (f", {figure.note}" if figure.note else "")
    ratio = f"{number(figure.ratio)} × {figure.ratio_of}" if figure.ratio is not None else ""
    reached = {None: "", True: " reached", False: " **missed**"}[figure.is_goal_reached]
    return figure.what, value, ratio, f"{figure.goal}{reached}" if figure.goal else ""


def lines(part: PartResult) -> Iterator[str]:
    """A part's table for a terminal."""
    yield f"── {TITLES.get(part.name, part.name)} ({part.name})"
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


def section(run: Run, plotted: Sequence[tuple[str, str]]) -> str:
    """The text below HEADING. plotted: names and alternative texts of its plots."""
    machine = ", ".join(
        f"{value}" if name in {"cores", "system"} else f"{name} {value}" for name, value in run.machine.items()
    )
    blocks = [f"Machine of the last run: {machine}. Versions: {listed(run.versions)}."]
    blocks += [f"![{alt}](images/{name})" for name, alt in plotted]
    for name, part in run.parts.items():
        blocks += _part_blocks(name, part)
    return "\n\n".join(blocks)


def _part_blocks(name: str, part: PartResult) -> Iterator[str]:
    versions = f", with {listed(part.versions)}" if part.versions else ""
    yield f"### {TITLES.get(name, name)}, measured"
    yield f"On {part.on}, on {part.cores}, `make bench ONLY={name}`{versions}."
    rows = [cells(figure) for figure in part.figures] + [(what, text, "", "") for what, text in part.texts]
    table = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    yield "\n".join(["| what | median | ratio | goal |", "|---|---|---|---|", *table])
    if part.missing:
        yield "\n".join(f"- Not measured: {one.what}: {one.why}" for one in part.missing)


def page(run: Run, plotted: Sequence[tuple[str, str]], text: str) -> str:
    """The text of docs/performance.md with this run in it."""
    head, tail = text.split(f"{HEADING}\n", 1)
    after = tail[tail.index("\n## ") :]
    return f"{head}{HEADING}\n\n{section(run, plotted)}\n{after}"


def write() -> None:
    """Bring docs/performance.md and its plots in line with the record. Safe to repeat."""
    run = record.read()
    if run is not None:
        plotted = write_plots(run, ROOT / "docs" / "images")
        PAGE.write_text(page(run, plotted, PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write()
