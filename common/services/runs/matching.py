"""Chooses the agent and the driver for a task: docs/decisions/0019-which-driver-does-a-task.md.

The driver is the task's, else the project's, else the platform's. Where none of them names one: the driver of the
stored session, `scripted` for a task with steps, else the first one that works of an agent's.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from common.models.agent import Agent
from common.models.project import Project
from common.models.task import Task
from common.settings import settings
from common.values.drivers import KNOWN_DRIVERS

SCRIPTED = "scripted"

_APIS: Mapping[str, str | None] = {driver.name: driver.api for driver in KNOWN_DRIVERS}
_STEPS = re.compile(r"^ {0,3}(?:`{3,}|~{3,})[ \t]*steps(?:[ \t]|$)", re.MULTILINE)


def broken_in(findings: Iterable[Mapping[str, object]]) -> frozenset[str]:
    """The names of the drivers that an agent found unusable. findings: as they are stored."""
    return frozenset(str(one["name"]) for one in findings if one["canWork"] is False)


def usable_drivers(drivers: Iterable[str], broken: Container[str]) -> tuple[str, ...]:
    """Those of an agent's drivers that the platform knows and that work on its machine, the preferred one first."""
    return tuple(name for name in drivers if name in _APIS and name not in broken)


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

    agent: Agent
    capabilities: frozenset[str]
    drivers: frozenset[str]
    own_choice: str | None


@dataclass(frozen=True)
class Match:
    candidate: Candidate
    driver: str


class Matcher:
    """Matches tasks with agents during one pass of the scheduler.

    agents: all that are ready, whether they have a free slot or not. A task waits for one of them that suits it better
    than those that are free. apis: the APIs of models that have a provider.
    """

    def __init__(self, agents: Iterable[Agent], apis: frozenset[str]) -> None:
        usable = {agent: usable_drivers(agent.drivers, broken_in(agent.findings)) for agent in agents}
        self._apis = apis
        self._offered = frozenset(name for names in usable.values() for name in names if not needs_provider(name, apis))
        self._of = {
            agent: Candidate(
                agent,
                frozenset(agent.capabilities),
                self._offered & set(names),
                _own_choice(agent, names, self._offered),
            )
            for agent, names in usable.items()
        }
        self._prose_obstacle = self._why_no_prose(usable)
        self._named: dict[str, str | None] = {}
        self._sessions: dict[str, str] = {}

    def candidate(self, agent: Agent) -> Candidate:
        return self._of[agent]

    def know_sessions(self, drivers: Mapping[str, str]) -> None:
        """Tell which driver wrote the stored session of which task (by its id)."""
        self._sessions.update(drivers)

    def wanted(self, task: Task, project: Project) -> str | None:
        """The driver that the task must be done with; None: an agent's own choice."""
        if task.id not in self._named:
            self._named[task.id] = named_driver(task, project) or self._derived(task)
        return self._named[task.id]

    def _derived(self, task: Task) -> str | None:
        session = self._sessions.get(task.id)
        if session in self._offered:
            return session
        return SCRIPTED if SCRIPTED in self._offered and has_steps(task.description) else None

    def obstacle(self, task: Task, project: Project) -> str | None:
        """Why no agent may do the task until a person changes something; None if an agent may."""
        wanted = self.wanted(task, project)
        if wanted is None:
            return self._prose_obstacle
        if not needs_provider(wanted, self._apis):
            return None
        return (
            f"The driver {wanted} needs a provider of models with the API {_APIS[wanted]}, and none is enabled: "
            "an administrator can add one, or the task can be given to another driver."
        )

    def _why_no_prose(self, usable: Mapping[Agent, tuple[str, ...]]) -> str | None:
        """Why no agent may do a task without steps that no driver is named for; None if one may, or none is ready."""
        if not usable or any(one.own_choice is not None for one in self._of.values()):
            return None
        waiting = sorted({name for names in usable.values() for name in names if needs_provider(name, self._apis)})
        if waiting:
            remedy = f"An administrator can add a model provider for {', '.join(waiting)}"
        else:
            remedy = "Run `aiworker drivers install claude` where the agents run, and add a model provider"
        return f"It waits for a driver that reads plain words. {remedy}; or write it as steps."

    def match(self, task: Task, project: Project, free: Mapping[Candidate, int]) -> Match | None:
        """A free agent for the task, and the driver; None if there is none. Existing agents come before new ones.

        Among several, the one with the fewest capabilities, so that the others stay free for tasks that need them.
        """
        wanted = self.wanted(task, project)
        required = frozenset(task.required_capabilities)
        fit = [
            one
            for one, room in free.items()
            if room > 0
            and required <= one.capabilities
            and (one.own_choice is not None if wanted is None else wanted in one.drivers)
        ]
        best = min(fit, key=lambda one: (not one.agent.id, len(one.capabilities)), default=None)
        driver = None if best is None else wanted or best.own_choice
        return Match(best, driver) if best is not None and driver is not None else None


def _own_choice(agent: Agent, names: tuple[str, ...], offered: frozenset[str]) -> str | None:
    """The first of an agent's drivers that may work: those with a provider, then those that need none.

    `scripted` is chosen only if no agent offers another driver, and only for a program of somebody else's that calls
    itself so: that of AiWorker's agents can only follow steps.
    """
    real = offered - {SCRIPTED}
    if not real and _is_ours(agent):
        return None
    working = [name for name in names if name in (real or offered)]
    return min(working, key=lambda name: _APIS[name] is None, default=None)


def _is_ours(agent: Agent) -> bool:
    """Whether AiWorker's own runner works there: it is in the platform's pods, and reports on each driver it knows."""
    return agent.is_pod or any(finding["name"] == SCRIPTED for finding in agent.findings)


def named_driver(task: Task, project: Project) -> str | None:
    """The driver that people named for the task; None if they left it open."""
    return task.driver or project.driver or settings().work.driver


def chosen_model(task: Task, project: Project, driver: str) -> str | None:
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
    return "steps" in description and _STEPS.search(description) is not None
