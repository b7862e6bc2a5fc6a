"""What is worse than recorded, what the record keeps, and what the page on performance says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench import report
from tests.bench.__main__ import status
from tests.bench.figures import Figure
from tests.bench.record import PartResult, Run, falls, merged, read, result_of

RATE = [Figure("bare", 100, "a second"), Figure("GET", 40, "a second", ratio_of="bare", goal="≥ 0.4", note="p99 9 ms")]
MEMORY = [Figure("theirs", 10, "KB"), Figure("ours", 16, "KB", ratio_of="theirs", goal="≤ 1.6")]


def part(name: str, *figures: Figure, failed: str = "") -> PartResult:
    return result_of(name, "2026-11-27", figures, failed)


def run(*parts: PartResult) -> Run:
    return Run({"cores": "2 of some processor"}, {"Python": "3.11.7"}, {one.name: one for one in parts})


def changed(figures: list[Figure], value: float) -> list[Figure]:
    return [figures[0], replace(figures[1], value=value)]


@pytest.mark.parametrize(
    ("figures", "value", "has_fallen"),
    [
        (RATE, 36.1, False),
        (RATE, 35.9, True),
        (RATE, 80, False),
        (MEMORY, 17.7, False),
        (MEMORY, 17.8, True),
        (MEMORY, 8, False),
    ],
)
def test_a_ratio_that_is_more_than_a_tenth_worse_fails_the_run(
    figures: list[Figure], value: float, has_fallen: bool
) -> None:
    recorded, now = run(part("api", *figures)), run(part("api", *changed(figures, value)))

    fallen = falls(recorded, now.parts.values())

    assert [fall.what for fall in fallen] == ([figures[1].what] if has_fallen else [])
    assert status(now, recorded) == (1 if has_fallen else 0)


def test_a_part_that_failed_fails_the_run_and_its_record_stays() -> None:
    recorded = run(part("api", *RATE), part("ws", *MEMORY))
    now = run(part("api", *changed(RATE, 44)), part("ws", failed="no socket"))

    kept = merged(recorded, now)

    assert status(now, recorded) == 1
    assert [figure.ratio for name in ("api", "ws") for figure in kept.parts[name].figures if figure.ratio] == [
        0.44,
        1.6,
    ]


def test_the_page_shows_the_recorded_run() -> None:
    recorded = read()
    assert recorded is not None
    text = report.PAGE.read_text("utf-8")

    assert report.page(recorded, text) == text, "run python -m tests.bench.report"
