"""What is promised of costs at several sizes, and that each of them can be measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.forge import local_forge
from common.services.people import tokens
from common.states import Role
from tests import builders
from tests.bench import sizes_groups, sizes_rows
from tests.bench.figures import Figure, Measured, measured
from tests.bench.schedule import on_database
from tests.bench.sizes_promised import STATEMENTS, Axis, Cost, Promise, milliseconds
from web.app import create_app

AXIS = Axis("agent", "agents", (1, 10, 100), "SQLite")


def of(cost: Cost, **rounds: list[float]) -> list[Measured]:
    """The figures of a cost on AXIS. rounds: of each size, by `at_1` and so on."""
    return measured("part", [cost.at(AXIS, int(name[3:]), found) for name, found in rounds.items()])


def test_a_flat_cost_is_compared_with_that_at_the_smallest_size() -> None:
    first, second, third = of(Cost("list", Promise.FLAT), at_1=[2], at_10=[2], at_100=[4])

    assert (first.ratio, second.ratio, third.ratio) == (None, 1, 2)
    assert (first.goal, second.goal, third.is_goal_reached) == (None, None, False)
    assert third.what == "list, SQLite, 100 agents"


def test_a_linear_cost_is_divided_by_the_size_and_compared_with_the_size_before() -> None:
    first, second, third = of(Cost("sweep", Promise.LINEAR), at_1=[5], at_10=[10], at_100=[90])

    assert (first.value, second.value, third.value) == (5, 1, 0.9)
    assert (second.ratio, third.ratio) == (0.2, 0.9)
    assert third.is_goal_reached
    assert (third.what, third.note) == ("sweep, for each agent, SQLite, 100 agents", "90 ms in all")


def test_a_cost_of_one_thing_is_compared_as_it_was_measured() -> None:
    _first, second, third = of(Cost("CPU", Promise.LINEAR, "µs", is_of_one=True), at_1=[8], at_10=[2], at_100=[4])

    assert (second.value, third.value, third.ratio, third.note) == (2, 4, 2, "")


def test_a_list_is_compared_only_with_a_size_that_fills_its_page() -> None:
    first, second, third = of(Cost("list", Promise.FLAT, since=10), at_1=[1], at_10=[4], at_100=[6])

    assert (first.ratio, second.ratio, third.ratio) == (None, None, 1.5)
    assert third.is_goal_reached


def test_sizes_above_the_most_are_left_out() -> None:
    assert AXIS.upto(50).sizes == (1, 10)
    assert AXIS.upto(0).sizes == (1,)


def test_the_first_try_is_thrown_away_and_each_begins_with_what_is_not_measured() -> None:
    steps: list[str] = []

    taken = milliseconds(lambda: steps.append("act"), 2, lambda: steps.append("before"), tries=3)

    assert len(taken) == 2
    assert steps == ["before", "act"] * 7


@pytest.fixture
def on_stores(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[None]:
    local_forge.cache_clear()
    with on_database(database_url, tmp_path, redis_url):
        yield
    local_forge.cache_clear()


def clients() -> sizes_rows.Clients:
    app = create_app()
    member, admin = builders.a_user("growing"), builders.a_user("all-seeing", Role.ADMIN)
    return sizes_rows.Clients(app, builders.client_of(app, member), builders.client_of(app, admin), member.id)


def names(figures: list[Figure]) -> set[str]:
    found = {figure.what for figure in figures}
    assert len(found) == len(figures)
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("on_stores")
def test_agents_and_projects_are_measured_at_each_size() -> None:
    rows = sizes_rows.Grown(clients())

    found = names([*rows.agents("here", 1, 10), *rows.projects("here", 1, 10)])

    assert {"heartbeat, here, 1 agent", "heartbeat, here, 10 agents", "board of one project, here, 10 projects"} < found


@pytest.mark.slow
@pytest.mark.usefixtures("on_stores")
def test_groups_are_taken_to_production_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One of the pages would have this statement more, if all takes longer than a minute.
    monkeypatch.setattr(tokens, "USE_NOTED_SECONDS", 86_400)
    by = builders.caller_of(builders.a_user("deliverer", Role.ADMIN))

    figures = list(sizes_groups.figures_of("here", clients().admin, by, tmp_path, 1, 5))

    assert len(names(figures)) == 2 * 2 * len(sizes_groups.COSTS)
    page = [figure.rounds for figure in figures if figure.what.startswith("page of a group, " + STATEMENTS)]
    assert page[0] == page[1]
