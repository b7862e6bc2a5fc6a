"""Assigns tasks to agents, in batches, by one job.

Tasks that wait in in_progress (after an answer, a rejection, a refusal) come first, then tasks in the backlog by
priority, which rises by one step per hour of waiting, then by age. Agents are matched by capabilities, drivers and free
slots. Matching reads and locks nothing: docs/decisions/0024-scheduling-in-batches.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import bindparam, or_, select

from common.database.compiled_statements import Statement
from common.errors import LeaseLost
from common.jobs.catalogue import Lease
from common.models.run import Run
from common.models.task import Task
from common.services.agents import pods
from common.services.agents.assigning import BATCH, Assigned, PlannedAssignment, assign
from common.services.agents.matching import STEPS_WORD, Matcher, chosen_model, is_obstacle, named_driver
from common.services.agents.waiting_tasks import (
    PAGE,
    OpenProject,
    ReadyAgent,
    WaitingTask,
    are_agents_away,
    descriptions_with,
    projects_of,
    ready_agents,
    session_drivers,
    under_way,
    waiting_reviews,
    waiting_tasks,
)
from common.services.caps.caps import OBSTACLE
from common.services.caps.caps_of_waiting_tasks import CapsOfWaitingTasks
from common.services.lifecycle.task_states import show_obstacle
from common.services.runs.stopped_by_caps import stop_at_cap
from common.services.spend.model_offers import provider_apis
from common.transaction import Snapshot, Transaction, read_rows, snapshot, transactional
from common.values.states import Phase, RunState, TaskState

AGEING_SECONDS = 3600
"""This much waiting time counts as one step of priority."""
AGENTS_AWAY = (
    "All agents are draining or offline, so nobody begins it: start one, with `aiworker up` or `aiworker agent`."
)
LEFT_OUT_SECONDS = 0.1
"""When to look again if a task or agent was left out because another transaction had locked it."""


def schedule_tasks(lease: Lease) -> int:
    """Assign claimable tasks to free agents. Each task gets a new run in state preparing. Returns how many.

    If no agent is free, the fleet creates one, up to its limit, and the run waits for its pod.
    """
    with snapshot() as read:
        agents = [*ready_agents(read), *pods.new_agents(read)]
        this_pass = _Pass(read, agents)
        assignments = this_pass.matched()
        if not agents and are_agents_away(read):
            this_pass.note_absence()
    made = Assigned()
    if this_pass.obstacles or this_pass.capped:
        _show_why_not(this_pass.obstacles, this_pass.capped)
    while len(assignments) > BATCH:
        made += _assign(lease, assignments[:BATCH])
        assignments = assignments[BATCH:]
    return (made + _end_pass(lease, assignments, made, is_partial=this_pass.is_partial)).runs


def assign_next(agent_id: str) -> bool:
    """Assign the agent, one of whose runs has just ended, the task that it would get if no other had a free slot.

    Returns whether it has a run that it can claim soon. A pass may do the same at the same time: each choice is looked
    at again, locked, so neither the task nor the agent's slot is given twice.
    """
    with snapshot() as read:
        agents = _with_room_for(agent_id, [*ready_agents(read), *pods.new_agents(read)])
        assignments = _Pass(read, agents).matched()
    if assignments:
        _assign_first(assignments)
    return bool(read_rows(_COMING, agent_id=agent_id))


def _with_room_for(agent_id: str, agents: Sequence[ReadyAgent]) -> list[ReadyAgent]:
    """The agent, and others without room: a task waits for those of them that suit it better."""
    # A request waits for this. Of agents without room only the drivers count, and most agents have the same ones:
    # SharedJson reads equal values once, so the objects are the same.
    others = {(id(agent.drivers), id(agent.findings), agent.is_pod): agent for agent in agents if agent.id != agent_id}
    own = [agent for agent in agents if agent.id == agent_id]
    return own + [replace(agent, room=0) for agent in others.values()]


_COMING = Statement(
    lambda: (
        select(Run.id)
        .where(Run.agent_id == bindparam("agent_id"), Run.live_task_id.is_not(None))
        .where(or_(Run.state_ == RunState.PREPARING, Run.state_ == RunState.READY))
        .limit(1)
    )
)


@transactional
def _assign_first(tx: Transaction, assignments: Sequence[PlannedAssignment]) -> Assigned:
    return assign(tx, assignments[:1])


@transactional
def _assign(tx: Transaction, lease: Lease, assignments: Sequence[PlannedAssignment]) -> Assigned:
    """Assign a batch that is not the last one. LeaseLost if another worker has the job: it schedules now."""
    if not tx.queue.is_held(lease):
        raise LeaseLost(lease.job_id)
    return assign(tx, assignments)


@transactional
def _end_pass(
    tx: Transaction, lease: Lease, assignments: Sequence[PlannedAssignment], before: Assigned, *, is_partial: bool
) -> Assigned:
    """Assign the last batch, and end the job, or have it run again if there is more to do now."""
    made = assign(tx, assignments) if assignments else Assigned()
    pods.add_waiting_agents(tx)
    if is_partial and (before + made).runs:
        tx.again(lease, after_seconds=0)
    elif (before + made).left_out:
        tx.again(lease, after_seconds=LEFT_OUT_SECONDS)
    else:
        tx.finish(lease)
    return made


@transactional
def _show_why_not(tx: Transaction, obstacles: Mapping[str, str | None], capped: Collection[str]) -> None:
    """Show on tasks why they can't start. capped: a cap has become or is no more the reason."""
    for task in tx.lock_all(Task, [*obstacles, *capped]):
        if not (task.state is TaskState.BACKLOG or task.phase is Phase.QUEUED):
            continue
        if task.id in obstacles:
            # What it says may have changed since it was read.
            if obstacles[task.id] is not None or _is_own_obstacle(task.error):
                show_obstacle(tx, task, obstacles[task.id])
        else:
            stop_at_cap(tx, task)


def _is_own_obstacle(error: str | None) -> bool:
    """Whether a pass has put the error on a task, so that a later one takes it back when it is over."""
    return error is not None and (error == AGENTS_AWAY or is_obstacle(error))


class _Pass:
    """One pass of the scheduler over the tasks and agents, none of which is locked."""

    def __init__(self, read: Snapshot, agents: Sequence[ReadyAgent]) -> None:
        self._read = read
        self._now: datetime = read.now()
        self._projects: dict[str, OpenProject] = {}
        self._under_way: Counter[str] = Counter()
        self.obstacles: dict[str, str | None] = {}
        """Task id → why it can't start, for those whose error does not say so yet. None: what it says is over."""
        self.capped: list[str] = []
        """Tasks of which a cap has become or is no more the reason to wait, and that do not say so yet."""
        self.is_partial = False
        """Whether there may be tasks behind those that were read, and agents that could do them."""
        self._caps = CapsOfWaitingTasks(read)
        self._matcher = Matcher(agents, provider_apis(read))

    def matched(self) -> list[PlannedAssignment]:
        """Which task should go to which agent. A project whose last runs could not be prepared gets at most one."""
        assignments: list[PlannedAssignment] = []
        tried: set[str] = set()
        for driver, needs in waiting_reviews(self._read):
            # Tasks leave it free: its proof, which looks every few seconds, takes it.
            self._matcher.reserve(driver, needs)
        for task in self._claimable() if self._matcher.free else []:
            project = self._projects[task.project_id]
            match = self._matcher.match(task, project)
            if match is None or project.id in tried or not self._has_room(task):
                continue
            assignments.append(
                PlannedAssignment(
                    task.id, project.id, match.candidate.agent.id, match.driver,
                    chosen_model(task, project, match.driver),
                    (task.driver, task.model, task.required_capabilities),
                    self._caps.has_caps(task, project),
                )
            )  # fmt: skip
            if project.is_held:
                tried.add(project.id)
            self._matcher.take(match)
            self._under_way[project.id] += 0 if task.is_queued else 1
            if not self._matcher.free:
                break
        self.is_partial = self.is_partial and self._matcher.free > 0
        return assignments

    def note_absence(self) -> None:
        """Say on the first of the tasks that could start that there is no agent. Those behind them wait for these."""
        first = islice(waiting_tasks(self._read), 2)
        silent = [task.id for page in first for task in page if task.error is None]
        self.obstacles = dict.fromkeys(silent[:BATCH], AGENTS_AWAY)

    def _claimable(self) -> list[WaitingTask]:
        """The tasks that could start now, in the order in which they should.

        Reads page by page until enough are found, so that tasks which no free agent can do, or whose project is at its
        limit, do not block the tasks behind them, however many they are. Enough: each choice is one of PAGE tasks.
        """
        found: list[WaitingTask] = []
        enough = PAGE + self._matcher.free
        for page in waiting_tasks(self._read):
            self._look_up(page)
            found += [task for task in page if self._may_start(task)]
            if len(found) >= enough:
                self.is_partial = True
                break
        return sorted(found, key=lambda task: _rank(task, self._now))

    def _look_up(self, page: Sequence[WaitingTask]) -> None:
        """Read what the tasks of a page need, for all of them at once."""
        unknown = {task.project_id for task in page} - self._projects.keys()
        new = projects_of(self._read, unknown)
        self._projects |= new
        self._under_way |= under_way(
            self._read, [project.id for project in new.values() if project.max_parallel_tasks is not None]
        )
        tasks = [(task, self._projects[task.project_id]) for task in page]
        self._caps.know(tasks)
        # The driver of a stored session matters if the task had a run before, and no person named a driver.
        resumed = [
            task.id for task, project in tasks
            if task.has_waited and named_driver(task, project) is None
        ]  # fmt: skip
        self._matcher.know_sessions(session_drivers(self._read, resumed))
        open_ = [task.id for task, project in tasks if self._matcher.needs_description(task, project)]
        self._matcher.know_descriptions(descriptions_with(self._read, STEPS_WORD, open_))

    def _is_stopped_by_cap(self, task: WaitingTask) -> bool:
        reached = self._caps.reached(task, self._projects[task.project_id])
        is_told = (task.error or "").startswith(OBSTACLE)
        is_changed = is_told if reached is None else task.phase == Phase.QUEUED or task.error != reached.obstacle
        if is_changed and len(self.capped) < BATCH:
            self.capped.append(task.id)
        return reached is not None

    def _may_start(self, task: WaitingTask) -> bool:
        if self._has_room(task):
            return self._can_start(task)
        if task.error is not None:
            # What it says may be over, long before its project has room.
            self._can_start(task)
        return False

    def _can_start(self, task: WaitingTask) -> bool:
        """Whether an agent may do it. Notes what keeps it, or does so no longer."""
        if self._is_stopped_by_cap(task):
            return False
        project = self._projects[task.project_id]
        obstacle = self._matcher.obstacle(task, project)
        is_news = _is_own_obstacle(task.error) if obstacle is None else task.error != obstacle
        if is_news and len(self.obstacles) < BATCH:
            self.obstacles[task.id] = obstacle
        return obstacle is None and self._matcher.match(task, project) is not None

    def _has_room(self, task: WaitingTask) -> bool:
        most = self._projects[task.project_id].max_parallel_tasks
        return most is None or task.is_queued or self._under_way[task.project_id] < most


def _rank(task: WaitingTask, now: datetime) -> tuple[bool, float, datetime]:
    waited = (now - task.queued_at) / timedelta(seconds=AGEING_SECONDS)
    return (not task.is_queued, -(task.priority + waited), task.queued_at)
