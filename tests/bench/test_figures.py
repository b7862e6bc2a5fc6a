"""Medians, ratios and goals of the benchmark's figures."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure, Measured, alternate, measured


def of(*figures: Figure) -> dict[str, Measured]:
    return {figure.what: figure for figure in measured("part", figures)}


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    """The second round was slow for both sides: the ratio of the medians would be 0.55."""
    found = of(Figure("ours", [50, 5, 60], "a second", ratio_of="bare"), Figure("bare", [100, 10, 110], "a second"))

    assert found["ours"].ratio == 0.5
    assert found["bare"].ratio is None


def test_with_different_numbers_of_rounds_it_is_the_ratio_of_the_medians() -> None:
    found = of(Figure("bare", [100, 10, 110], "a second"), Figure("ours", 25, "a second", ratio_of="bare"))

    assert found["ours"].ratio == 0.25


@pytest.mark.parametrize("base", [[Figure("bare", [1, 0], "ms")], []])
def test_a_base_that_is_nought_or_was_not_measured_gives_no_ratio(base: list[Figure]) -> None:
    found = of(*base, Figure("ours", [1, 1], "ms", ratio_of="bare", goal="≤ 2"))["ours"]

    assert (found.ratio, found.compared, found.is_goal_reached) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "goal", "is_reached"),
    [(0.4, "≥ 0.4", True), (0.39, "≥0.4", False), (1.6, "≤ 1.6", True), (1.7, "≤ 1.6", False), (1, None, None)],
)
def test_a_goal_is_about_the_ratio_if_there_is_one(value: float, goal: str | None, is_reached: bool | None) -> None:
    found = of(Figure("ours", 100 * value, "KB", ratio_of="theirs", goal=goal), Figure("theirs", 100, "KB"))["ours"]
    alone = of(Figure("ours", value, "ms", goal=goal))["ours"]

    assert (found.is_goal_reached, alone.is_goal_reached) == (is_reached, is_reached)


def test_two_figures_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="lists"):
        measured("part", [Figure("lists", 1, "ms"), Figure("lists", 2, "ms")])


def test_sides_take_turns_and_the_cold_round_is_thrown_away() -> None:
    order: list[str] = []

    def side(name: str) -> int:
        order.append(name)
        return len(order)

    rounds = alternate({name: lambda name=name: side(name) for name in ("a", "b")}, times=3)  # type: ignore[misc]

    assert "".join(order) == "baabbaab"
    assert rounds == {"a": [3, 6, 7], "b": [4, 5, 8]}
