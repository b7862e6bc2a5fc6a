"""Tables on a terminal: no line is wider than it, whatever the cells hold."""

from __future__ import annotations

import click
import pytest

from web.cli.tables import table, width_of

ROWS = [
    ["0192f0c1", "ready_to_test", "Show the total of the cart in every currency that a customer may choose", ""],
    ["0192f0c2", "backlog", "カートの合計を表示する", ""],
]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_lines_fit_and_columns_begin_at_one_place(width: int) -> None:
    lines = [click.unstyle(line) for line in table(ROWS, ("id", "state", "title", "parked"), width)]

    assert [len(lines), max(map(width_of, lines)) <= max(width, 22)] == [3, True]
    # What no row has is left out.
    assert "PARKED" not in lines[0]
    if width == 200:
        assert lines[1] == f"0192f0c1  ready_to_test  {ROWS[0][2]}"
        assert lines[2] == f"0192f0c2  backlog        {ROWS[1][2]}"
    if width == 40:
        assert lines[1].endswith("…")


@pytest.mark.parametrize("width", [1, 20, 40, 80])
def test_an_id_is_never_cut(width: int) -> None:
    """People type it; the other columns become narrower for it."""
    whole = "agent-of-older-version-456789a"
    rows = [[one, "production", "Show the total of the cart", "a note"] for one in ("0192f0c1", whole)]

    (_head, first, second) = [click.unstyle(line) for line in table(rows, ("id", "state", "title", "says"), width)]

    assert [first.split()[0], second.split()[0]] == ["0192f0c1", whole]
    assert width_of(second) <= max(width, 45)
    # A short one in a narrow terminal.
    (_head, line) = [click.unstyle(line) for line in table([["a", "456789ab"]], ("title", "id"), width)]
    assert line.split() == ["a", "456789ab"]
