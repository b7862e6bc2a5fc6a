"""Chooses the agent and the driver for a task: docs/decisions/0019-which-driver-does-a-task.md.

The driver is the task's, else the project's, else the platform's. Where none of them names one: the driver of the
stored session, `scripted` for a task with steps, else the first one that works of an agent's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.services.agents.waiting_tasks import OpenProject, ReadyAgent, WaitingTask
from common.settings import settings
from common.values.runs.drivers import KNOWN_DRIVERS

SCRIPTED = "scripted"
STEPS_WORD = "steps"
"""Stands in every description that has steps."""

_APIS: Mapping[str, str | None] = {driver.name: driver.api for driver in KNOWN_DRIVERS}
_OBSTACLE = re.compile(r"The driver \S+ needs a provider of models |It waits for a driver that reads plain words\. ")
_STEPS = re.compile(r"^ {0,3}(?:`{3,}|~{3,})[ \t]*steps(?:[ \t]|$)", re.MULTILINE)


def broken_in(findings: Iterable[Mapping[str, object]]) -> frozenset[str]:
    """The names of the drivers that an agent found unusable. findings: as they are stored."""
    return frozenset(str(one["name"]) for one in findings if one["canWork"] is False)


def usable_drivers(drivers: Iterable[str], broken: Container[str]) -> tuple[str, ...]:
    """Those of an agent's drivers that the platform knows and that work on its machine, the preferred one first."""
    return tuple(name for name in drivers if name in _APIS and name not in broken)


def is_obstacle(error: str) -> bool:
    """Whether the error of a task is one that `Matcher.obstacle` gave, of this or an earlier version."""
    return _OBSTACLE.match(error) is not None


def needs_provider(name: str, apis: frozenset[str]) -> bool:
    """Whether the driver speaks an API that no provider in `apis` speaks."""
    api = _APIS.get(name)
    return api is not None and api not in apis


@dataclass(frozen=True, eq=False)
class Candidate:
    """An agent that runs could be given to. drivers: those that it can work with, and that have a provider if they need
    one.

    own_choice: the driver for a task that no person named one for; None: it has none that such a task may get.
    """

    agent: ReadyAgent
    capabilities: frozenset[str]
    drivers: frozenset[str]
    own_choice: str | None

    @property
    def sort(self) -> tuple[bool, frozenset[str], frozenset[str], str | None]:
        """Equal for agents that can do the same tasks."""
        return not self.agent.id, self.capabilities, self.drivers, self.own_choice


@dataclass(frozen=True)
class Match:
    candidate: Candidate
    driver: str


class _Line:
    """The agents that can do the same tasks, in the order in which they get them."""

    def __init__(self, candidates: Sequence[Candidate], room: Mapping[Candidate, int]) -> None:
        self._candidates = candidates
        self._room = room
        self._next = 0

    def first(self) -> Candidate | None:
        """The first with room. Room is only taken during a pass, so an agent without any is passed for good."""
        while self._next < len(self._candidates):
            if self._room[self._candidates[self._next]] > 0:
                return self._candidates[self._next]
            self._next += 1
        return None


class Matcher:
    """Matches tasks with agents during one pass of the scheduler.

    agents: all that are ready, whether they have a free slot or not, in the order in which they get tasks. A task waits
    for one of them that suits it better than those that are free. apis: the APIs of models that have a provider.
    """

    def __init__(self, agents: Sequence[ReadyAgent], apis: frozenset[str]) -> None:
        usable = {agent: usable_drivers(agent.drivers, broken_in(agent.findings)) for agent in agents}
        self._apis = apis
        self._offered = frozenset(name for names in usable.values() for name in names if not needs_provider(name, apis))
        candidates = [
            Candidate(
                agent, agent.capabilities, self._offered & set(names), _own_choice(agent, names, self._offered)
            )
            for agent, names in usable.items()
        ]  # fmt: skip
        self._prose_obstacle = self._why_no_prose(usable, candidates, apis)
        self._room = {one: one.agent.room for one in candidates if one.agent.room > 0}
        self._free = sum(self._room.values())
        self._sorts: dict[Hashable, list[tuple[int, Candidate]]] = defaultdict(list)
        for place, one in enumerate(self._room):
            self._sorts[one.sort].append((place, one))
        self._lines: dict[Hashable, _Line] = {}
        self._lines_of: dict[tuple[str | None, frozenset[str]], _Line] = {}
        self._named: dict[str, str | None] = {}
        self._sessions: dict[str, str] = {}
        self._with_steps: set[str] = set()

    @property
    def free(self) -> int:
        """How many runs the agents could still take."""
        return self._free

    def know_sessions(self, drivers: Mapping[str, str]) -> None:
        """Tell which driver wrote the stored session of which task (by its id)."""
        self._sessions.update(drivers)

    def needs_description(self, task: WaitingTask, project: OpenProject) -> bool:
        """Whether it depends on the task's description which driver does it."""
        is_open = SCRIPTED in self._offered and self._sessions.get(task.id) not in self._offered
        return is_open and named_driver(task, project) is None

    def know_descriptions(self, descriptions: Mapping[str, str]) -> None:
        """Tell the descriptions of tasks (by their ids) that may have steps."""
        self._with_steps |= {task_id for task_id, text in descriptions.items() if has_steps(text)}

    def wanted(self, task: WaitingTask, project: OpenProject) -> str | None:
        """The driver that the task must be done with; None: an agent's own choice."""
        if task.id not in self._named:
            self._named[task.id] = named_driver(task, project) or self._derived(task)
        return self._named[task.id]

    def _derived(self, task: WaitingTask) -> str | None:
        session = self._sessions.get(task.id)
        if session in self._offered:
            return session
        return SCRIPTED if SCRIPTED in self._offered and task.id in self._with_steps else None

    def obstacle(self, task: WaitingTask, project: OpenProject) -> str | None:
        """Why no agent may do the task until a person changes something; None if an agent may."""
        wanted = self.wanted(task, project)
        if wanted is None:
            return self._prose_obstacle
        if not needs_provider(wanted, self._apis):
            return None
        return (
            f"The driver {wanted} needs a provider of models with the API {_APIS[wanted]}, and none is enabled: "
            "an administrator can add one."
        )

    @staticmethod
    def _why_no_prose(
        usable: Mapping[ReadyAgent, tuple[str, ...]], candidates: Iterable[Candidate], apis: frozenset[str]
    ) -> str | None:
        """Why no agent may do a task without steps that no driver is named for; None if one may, or none is ready."""
        if not usable or any(one.own_choice is not None for one in candidates):
            return None
        waiting = sorted({name for names in usable.values() for name in names if needs_provider(name, apis)})
        if waiting:
            remedy = f"An administrator can add a model provider for {', '.join(waiting)}"
        else:
            remedy = "Run `aiworker drivers install claude` where the agents run, and add a model provider"
        return f"It waits for a driver that reads plain words. {remedy}; or write it as steps."

    def match(self, task: WaitingTask, project: OpenProject) -> Match | None:
        """A free agent for the task, and the driver; None if there is none. Existing agents come before new ones.

        Among several, the one with the fewest capabilities, so that the others stay free for tasks that need them.
        """
        wanted = self.wanted(task, project)
        best = self._line(wanted, frozenset(task.required_capabilities)).first()
        driver = None if best is None else wanted or best.own_choice
        return Match(best, driver) if best is not None and driver is not None else None

    def free_with(self, driver: str, required: frozenset[str]) -> Candidate | None:
        """A free agent that can work with this driver and has these capabilities; None if there is none."""
        return self._line(driver, required).first()

    def reserve(self, driver: str, required: frozenset[str]) -> None:
        """Keep an agent like that free. Does nothing if none is."""
        found = self.free_with(driver, required)
        if found is not None:
            self.take(Match(found, driver))

    def take(self, match: Match) -> None:
        """The agent got the task: it has less room."""
        self._room[match.candidate] -= 1
        self._free -= 1

    def _line(self, wanted: str | None, required: frozenset[str]) -> _Line:
        line = self._lines_of.get((wanted, required))
        if line is None:
            fit = tuple(
                sort
                for sort, members in self._sorts.items()
                if required <= members[0][1].capabilities
                and (members[0][1].own_choice is not None if wanted is None else wanted in members[0][1].drivers)
            )
            # Many wishes are fulfilled by the same agents: those share one line.
            line = self._lines.get(fit)
            if line is None:
                members = [member for sort in fit for member in self._sorts[sort]]
                members.sort(key=lambda one: (not one[1].agent.id, len(one[1].capabilities), one[0]))
                line = self._lines[fit] = _Line([one for _place, one in members], self._room)
            self._lines_of[wanted, required] = line
        return line


def _own_choice(agent: ReadyAgent, names: tuple[str, ...], offered: frozenset[str]) -> str | None:
    """The first of an agent's drivers that may work: those with a provider, then those that need none.

    `scripted` is chosen only if no agent offers another driver, and only for a program of somebody else's that calls
    itself so: that of AiWorker's agents can only follow steps.
    """
    real = offered - {SCRIPTED}
    if not real and _is_ours(agent):
        return None
    working = [name for name in names if name in (real or offered)]
    return min(working, key=lambda name: _APIS[name] is None, default=None)


def _is_ours(agent: ReadyAgent) -> bool:
    """Whether AiWorker's own runner works there: it is in the platform's pods, and reports on each driver it knows."""
    return agent.is_pod or any(finding["name"] == SCRIPTED for finding in agent.findings)


def named_driver(task: WaitingTask, project: OpenProject) -> str | None:
    """The driver that people named for the task; None if they left it open."""
    return task.driver or project.driver or settings().work.driver


def chosen_model(task: WaitingTask, project: OpenProject, driver: str) -> str | None:
    """The model for a run of the task with this driver; None: the driver's own choice.

    The project's and the platform's model count only for the driver that they name, or if they name none.
    """
    work = settings().work
    if task.model is not None:
        return task.model
    if project.model is not None and project.driver in {None, driver}:
        return project.model
    return work.model if work.driver in {None, driver} else None


def has_steps(description: str) -> bool:
    """Whether the description has a fenced block tagged `steps`, which the driver `scripted` follows."""
    return STEPS_WORD in description and _STEPS.search(description) is not None
