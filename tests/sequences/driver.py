"""A story: random acts, one after the other, with what must hold checked after each; then its end."""

from __future__ import annotations

import contextlib
from random import Random

from tests.sequences import agents, ends, machinery, people
from tests.sequences.invariants import check
from tests.sequences.stage import NothingToDo, Stage
from tests.workers.platform import PAGE

ACTS = {**people.ACTS, **agents.ACTS, **machinery.ACTS}
MOST_TRIES = 100


def play(stage: Stage, steps: int) -> None:
    """The whole story of the stage's seed. AssertionError if something is wrong after an act."""
    _begin(stage)
    for step in range(steps):
        _act(stage, f"{stage.seed}-{step}")
        check(stage)
    stage.random = Random(stage.seed)
    ends.end_well(stage)
    ends.delete_all(stage)


def _begin(stage: Stage) -> None:
    """A project, perhaps one with tests beside it, three tasks, and an agent that has done some of them."""
    stage.platform.project(PAGE)
    if stage.perhaps(0.4):
        stage.platform.project({**PAGE, "a.txt": "good\n"}, test_command="! grep -rq bad *.txt")
    for _ in range(2):
        people.change_project(stage)
    stage.new_agent(2)
    for _ in range(3):
        people.create_task(stage)
    for _ in range(2):
        with contextlib.suppress(NothingToDo):
            agents.work_through(stage)
    machinery.settle(stage)


def _act(stage: Stage, chance: str) -> None:
    """One act that has something to do. chance: what it and its details depend on, apart from what is there."""
    choice = Random(chance)
    for attempt in range(MOST_TRIES):
        (act,) = choice.choices(list(ACTS), list(ACTS.values()))
        stage.random = Random(f"{chance}-{attempt}")
        with contextlib.suppress(NothingToDo):
            act(stage)
            return
