"""Who made a group's tests red: the search over scripted results. No innocent member is ever named."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from common.services.delivery.bisection import (
    MORE_SECONDS,
    BaseIsRed,
    Culprit,
    Decision,
    Flaky,
    Passed,
    RunNext,
    decide,
)
from common.values.testing.build_results import TrialRun

SEEDS = 40
MEMBERS = 8

Chance = Callable[[int], float]
"""How likely the tests are to fail on the commit at a position."""


def play(count: int, chance: Chance, seed: int = 0, green_runs: int = 1) -> tuple[Decision, list[TrialRun]]:
    """TrialRun what the search asks for until it decides."""
    draw = random.Random(seed)
    runs: list[TrialRun] = []
    while isinstance(decision := decide(count, runs, green_runs=green_runs), RunNext):
        runs.append(TrialRun(decision.position, passed=draw.random() >= chance(decision.position)))
        assert len(runs) < 50, "the search does not end"
    return decision, runs


def from_position(first: int, chance: float) -> Chance:
    """Red as often as this from the member at `first` on."""
    return lambda position: chance if position >= first else 0


def decisions(chance: Chance, count: int = MEMBERS) -> Counter[Decision]:
    return Counter(play(count, chance, seed)[0] for seed in range(SEEDS))


def named(found: Counter[Decision]) -> set[int]:
    return {decision.position for decision in found if isinstance(decision, Culprit)}


def test_a_test_that_fails_at_random_names_nobody() -> None:
    found = decisions(lambda _position: 0.2)

    assert named(found) == set()
    assert found[Passed()] > 0
    assert found[Passed(is_flaky=True)] > 0


@pytest.mark.parametrize("guilty", [1, 4, MEMBERS])
def test_a_member_that_breaks_the_tests_is_named_and_no_other(guilty: int) -> None:
    assert decisions(from_position(guilty, 1)) == {Culprit(guilty): SEEDS}


@pytest.mark.parametrize("guilty", [1, 4])
@pytest.mark.parametrize("chance", [0.3, 0.8])
def test_a_member_that_breaks_the_tests_now_and_then_is_the_only_one_ever_named(guilty: int, chance: float) -> None:
    assert named(decisions(from_position(guilty, chance))) <= {guilty}


def test_a_culprit_that_is_flaky_does_not_land_where_a_group_must_be_green_five_times() -> None:
    found = Counter(play(MEMBERS, from_position(4, 0.8), seed, green_runs=5)[0] for seed in range(SEEDS))

    assert found.keys() <= {Culprit(4), *(Flaky(position) for position in range(4, MEMBERS + 1))}


@pytest.mark.parametrize(("seconds", "times"), [(0.5, 5), (40.0, 4), (MORE_SECONDS + 1, 1)])
def test_a_group_is_run_five_times_or_as_often_as_its_tests_are_quick(seconds: float, times: int) -> None:
    runs = [TrialRun(2, passed=True, seconds=seconds)]
    while decide(2, runs, green_runs=0) == RunNext(2):
        runs.append(TrialRun(2, passed=True, seconds=seconds))

    assert (decide(2, runs, green_runs=0), len(runs)) == (Passed(), times)


def test_a_group_that_mends_a_red_default_branch_passes() -> None:
    assert decide(MEMBERS, [TrialRun(MEMBERS, passed=True), TrialRun(0, passed=False)]) == Passed()


def test_the_whole_branch_goes_on_if_most_of_three_runs_are_green_and_says_that_it_is_flaky() -> None:
    red, green = TrialRun(2, passed=False), TrialRun(2, passed=True)

    assert decide(2, [red, green]) == RunNext(2)
    assert decide(2, [red, green, green]) == Passed(is_flaky=True)
    assert decide(2, [red, green, red]) == Flaky(2)


def test_a_red_default_branch_names_nobody() -> None:
    decision, runs = play(MEMBERS, lambda _position: 1)
    assert decision == BaseIsRed()
    assert Counter(run.position for run in runs) == {MEMBERS: 2, 0: 2}
