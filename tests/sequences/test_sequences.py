"""Whatever people, agents, jobs and the clock do, one after the other: the rules hold, and all tasks come to an end.

A seed tells a story: random acts (people.py, agents.py, machinery.py), after each of which the rules are checked
(invariants.py), and then an end in which willing people and an agent bring every task to its end and delete
the projects (ends.py). AIWORKER_TEST_SEEDS=100:120 tells the stories of these seeds, longer ones, on each database.
"""

from __future__ import annotations

import os

import pytest

from tests.sequences.conftest import Play

pytestmark = pytest.mark.slow

ASKED_FOR = os.environ.get("AIWORKER_TEST_SEEDS")
SEEDS = range(*map(int, ASKED_FOR.split(":"))) if ASKED_FOR else (3,)
DATABASES = ("sqlite", "mariadb") if ASKED_FOR else ("sqlite",)
STEPS = 120 if ASKED_FOR else 40


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_rules_hold_and_every_task_comes_to_an_end(
    request: pytest.FixtureRequest, play_on: Play, database: str, seed: int
) -> None:
    play_on(request.getfixturevalue(f"{database}_database_url"), seed, STEPS)
