"""A story: random acts, one after the other, with what must hold checked after each; then its end."""

from __future__ import annotations

import contextlib
from functools import partial
from random import Random

from tests.sequences import agents, ends, machinery, people
from tests.sequences.stage import Act, NothingToDo, Stage
from tests.sequences.watcher import Watcher
from tests.web.world import at_once as at_once_done
from tests.workers.platform import PAGE

ALONE = frozenset(
    {
        people.change_role, people.give_role_back, people.join_project, people.change_project, machinery.die_in_a_job,
        machinery.pass_time, machinery.restart_the_machine, machinery.lose_the_repository,
    }
)  # fmt: skip
"""What changes the rules by which others are judged, or this process."""
ACTS = {**people.ACTS, **agents.ACTS, **machinery.ACTS}
MOST_TRIES = 100


def play(stage: Stage, steps: int, *, at_once: float = 0) -> None:
    """The whole story of the stage's seed. AssertionError, after a look at what happened, if something is wrong.

    at_once: the share of steps in which two acts are done at the same time; then the story is another one each time.
    """
    watcher = Watcher(stage)
    _begin(stage)
    for step in range(steps):
        chance = f"{stage.seed}-{step}"
        if Random(chance).random() < at_once:
            _act_at_once(stage, chance)
        else:
            _act(stage, chance)
        watcher.check()
    stage.random = Random(stage.seed)
    ends.end_well(stage, watcher)
    ends.delete_all(stage)


def _begin(stage: Stage) -> None:
    """A project, perhaps one with tests beside it, three tasks, and an agent that has done some of them."""
    stage.platform.project(PAGE)
    if stage.perhaps(0.4):
        stage.platform.project({**PAGE, "a.txt": "good\n"}, test_command="! grep -rq bad *.txt")
    for _ in range(2):
        people.change_project(stage)
    stage.new_agent(2, drivers=stage.one([["scripted"], ["scripted", "acp"]]))
    for _ in range(3):
        people.create_task(stage)
    for _ in range(2):
        with contextlib.suppress(NothingToDo):
            agents.work_through(stage)
    machinery.settle(stage)


def _act_at_once(stage: Stage, chance: str) -> None:
    """A person's act, and another one's, an agent's or a job."""
    choice = Random(chance)
    beside = choice.choice([people.ACTS, agents.ACTS, machinery.ACTS, machinery.ACTS])
    pairs = [(stage.beside(f"{chance}-{place}"), acts) for place, acts in enumerate((people.ACTS, beside))]

    def start(own: Stage, acts: dict[Act, int]) -> None:
        among = {act: weight for act, weight in acts.items() if act not in ALONE}
        for _ in range(MOST_TRIES):
            (act,) = own.random.choices(list(among), list(among.values()))
            with contextlib.suppress(NothingToDo):
                act(own)
                return

    stage.tell("at once:")
    at_once_done(*(partial(start, *pair) for pair in pairs))
    stage.tell(":")


def _act(stage: Stage, chance: str) -> None:
    """One act that has something to do. chance: what it and its details depend on, apart from what is there."""
    choice = Random(chance)
    for attempt in range(MOST_TRIES):
        (act,) = choice.choices(list(ACTS), list(ACTS.values()))
        stage.random = Random(f"{chance}-{attempt}")
        with contextlib.suppress(NothingToDo):
            act(stage)
            return
