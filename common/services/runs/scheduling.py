"""Assigns tasks to agents, in batches, by one job.

Tasks that wait in in_progress (after an answer, a rejection, a refusal) come first, then tasks in the backlog by
priority, which rises by one step per hour of waiting, then by age. Agents are matched by capabilities, drivers and free
slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from common import jobs
from common.jobs import Lease
from common.models.agent import Agent
from common.models.project import Project
from common.models.run import Run, RunSession
from common.models.task import Task, TaskDependency
from common.names import new_id
from common.sealing import digest, new_token, seal
from common.services.projects import holding
from common.services.runs import fleet
from common.services.runs.capped import stop_at_cap
from common.services.runs.claims import FIRST_DRIVER
from common.services.runs.lifecycle import occupy_agent
from common.services.runs.matching import Matcher, chosen_model, named_driver
from common.services.spend.cap_book import CapBook
from common.services.spend.caps import OBSTACLE
from common.services.spend.model_offers import provider_apis
from common.services.spend.model_tokens import new_model_token
from common.services.tasks.lifecycle import begin_work, show_obstacle
from common.states import DELIVERABLE, UNDER_WAY, AgentState, Outcome, Phase, ProjectState, RunState, TaskState
from common.tracing import under
from common.transaction import Transaction, transactional

BATCH = 200
PAGE = 1000
"""Claimable tasks read at once."""
AGENT_LOST_SECONDS = 60
"""An agent without a heartbeat for this long loses its runs."""
AGEING_SECONDS = 3600
"""This much waiting time counts as one step of priority."""

READY_STATES = (AgentState.IDLE, AgentState.BUSY)


@dataclass(frozen=True)
class _Pair:
    """A task, the agent that should get it, and the driver. agent_id: empty for a new agent of the fleet. has_caps: a
    cap of spending holds for the task.
    """

    task_id: str
    agent_id: str
    project_id: str
    driver: str
    has_caps: bool


@transactional
def schedule_tasks(tx: Transaction, lease: Lease) -> int:
    """Assign claimable tasks to free agents. Each task gets a new run in state preparing. Returns how many.

    If no agent is free, the fleet creates one, up to its limit, and the run waits for its pod.
    """
    this_pass = _Pass(tx)
    pairs = this_pass.matched()
    holding.begin_probes(tx, {pair.project_id for pair in pairs})
    obstacles = this_pass.obstacles
    capped = this_pass.capped
    tasks = {task.id: task for task in tx.lock_all(Task, [*(pair.task_id for pair in pairs), *obstacles, *capped])}
    agents = {agent.id: agent for agent in tx.lock_all(Agent, {pair.agent_id for pair in pairs if pair.agent_id})}
    for pair in pairs:
        if pair.task_id in tasks and _is_waiting(tasks[pair.task_id]):
            if pair.has_caps and stop_at_cap(tx, tasks[pair.task_id]):
                continue  # the runs of this pass count, too
            agent = agents.get(pair.agent_id) if pair.agent_id else fleet.add_agent(tx)
            if agent is not None:
                _start_run(tx, tasks[pair.task_id], agent, pair.driver)
    for task_id, obstacle in obstacles.items():
        if task_id in tasks:
            show_obstacle(tx, tasks[task_id], obstacle)
    for task_id in capped:
        if task_id in tasks and _is_waiting(tasks[task_id]):
            stop_at_cap(tx, tasks[task_id])
    fleet.add_waiting_agents(tx)
    if len(pairs) == BATCH:
        tx.again(lease, after_seconds=0)
    else:
        tx.finish(lease)
    return len(pairs)


class _Pass:
    """One pass of the scheduler over the tasks and agents, none of which is locked."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._projects: dict[str, Project] = {}
        self._under_way = _under_way(tx)
        self.obstacles: dict[str, str] = {}
        """Task id → why it can't start, for those whose error does not say so yet."""
        self.capped: list[str] = []
        """Tasks of which a cap has become or is no more the reason to wait, and that do not say so yet."""
        self._caps = CapBook(tx)
        agents = _ready_agents(tx)
        self._matcher = Matcher(agents, provider_apis(tx))
        self._free = Counter({self._matcher.candidate(agent): room for agent, room in agents.items() if room > 0})

    def matched(self) -> list[_Pair]:
        """Which task should go to which agent. A project whose last runs could not be prepared gets at most one."""
        pairs: list[_Pair] = []
        tried: set[str] = set()
        for task in self._claimable() if self._free else []:
            project = self._project(task)
            match = self._matcher.match(task, project, self._free)
            if match is None or project.id in tried or not self._has_room(task):
                continue
            has_caps = self._caps.has_caps(task, project)
            pairs.append(_Pair(task.id, match.candidate.agent.id, project.id, match.driver, has_caps))
            if project.holds:
                tried.add(project.id)
            self._free[match.candidate] -= 1
            self._under_way[project.id] += 0 if task.state is TaskState.IN_PROGRESS else 1
            if not any(self._free.values()):
                break
        return pairs

    def _claimable(self) -> list[Task]:
        """The tasks that could start now, in the order in which they should.

        Reads page by page until enough are found, so that tasks which no free agent can do, or whose project is at its
        limit, do not block the tasks behind them, however many they are.
        """
        found: list[Task] = []
        query = _waiting_tasks(self._tx)
        for start in count(0, PAGE):
            page = self._tx.all(query.offset(start))
            self._caps.know([(task, self._project(task)) for task in page])
            self._matcher.know_sessions(_session_drivers(self._tx, [task for task in page if self._may_resume(task)]))
            found += [task for task in page if self._has_room(task) and self._can_start(task)]
            if len(page) < PAGE or len(found) >= PAGE:
                break
        now = self._tx.now()
        return sorted(found, key=lambda task: _rank(task, now))[:BATCH]

    def _is_stopped_by_cap(self, task: Task) -> bool:
        reached = self._caps.reached(task, self._project(task))
        is_told = (task.error or "").startswith(OBSTACLE)
        is_changed = is_told if reached is None else task.phase is Phase.QUEUED or task.error != reached.obstacle
        if is_changed and len(self.capped) < BATCH:
            self.capped.append(task.id)
        return reached is not None

    def _can_start(self, task: Task) -> bool:
        if self._is_stopped_by_cap(task):
            return False
        obstacle = self._matcher.obstacle(task, self._project(task))
        if obstacle is not None and obstacle != task.error and len(self.obstacles) < BATCH:
            self.obstacles[task.id] = obstacle
        return obstacle is None and self._matcher.match(task, self._project(task), self._free) is not None

    def _may_resume(self, task: Task) -> bool:
        """Whether the driver of a stored session matters: the task had a run before, and no person named a driver."""
        return task.queued_at != task.created_at and named_driver(task, self._project(task)) is None

    def _has_room(self, task: Task) -> bool:
        most = self._project(task).max_parallel_tasks
        return most is None or task.state is TaskState.IN_PROGRESS or self._under_way[task.project_id] < most

    def _project(self, task: Task) -> Project:
        if task.project_id not in self._projects:
            self._projects[task.project_id] = self._tx.get(Project, task.project_id)
        return self._projects[task.project_id]


def _waiting_tasks(tx: Transaction) -> Select[Task]:
    waits_for = aliased(Task)
    unmet = (
        select(TaskDependency.task_id)
        .join(waits_for, waits_for.id == TaskDependency.depends_on_id)
        .where(TaskDependency.task_id == Task.id, waits_for.state_.not_in(DELIVERABLE))
    )
    queued = and_(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.QUEUED)
    return (
        select(Task)
        .join(Project, Project.id == Task.project_id)
        .where(
            or_(Task.state_ == TaskState.BACKLOG, queued),
            Project.state_ == ProjectState.ACTIVE,
            holding.is_not_held(tx),
            ~unmet.exists(),
            ~select(Run.id).where(Run.live_task_id == Task.id).exists(),
        )
        .order_by(Task.state_.desc(), Task.queued_at, Task.id)
        .limit(PAGE)
    )


def _session_drivers(tx: Transaction, tasks: Sequence[Task]) -> dict[str, str]:
    """Task id → the driver that wrote its stored session, for those of the tasks that have one."""
    if not tasks:
        return {}
    # By the run: the session's own column lies behind its archive, which SQLite would read through.
    query = (
        select(RunSession.task_id, Run.driver)
        .join(Run, Run.id == RunSession.run_id)
        .where(RunSession.part == 0, RunSession.task_id.in_([task.id for task in tasks]))
    )
    return {task_id: driver or FIRST_DRIVER for task_id, driver in tx.session.execute(query)}


def _rank(task: Task, now: datetime) -> tuple[bool, float, datetime]:
    waited = (now - task.queued_at) / timedelta(seconds=AGEING_SECONDS)
    return (task.state is not TaskState.IN_PROGRESS, -(task.priority + waited), task.queued_at)


def _ready_agents(tx: Transaction) -> dict[Agent, int]:
    """Agents with the number of runs that each could take; those with the fewest live runs first.

    No run goes to agents that did not claim a ready run, or whose machine cut a run short, within the last minute.
    """
    alive = tx.now() - timedelta(seconds=AGENT_LOST_SECONDS)
    live = select(Run.agent_id, func.count()).where(Run.live_task_id.is_not(None)).group_by(Run.agent_id)
    taken: dict[str, int] = dict(tx.session.execute(live).all())
    is_unclaimed = (Run.outcome == Outcome.LOST) & Run.started_at.is_(None) & Run.base_sha.is_not(None)
    unresponsive = select(Run.agent_id).where(Run.finished_at >= alive, is_unclaimed | Run.is_cut_short.is_(True))
    is_fresh = Agent.is_pod.is_(False) | Agent.last_task_id.is_(None)
    ready = (Agent.state_.in_(READY_STATES), Agent.seen_at >= alive, is_fresh)
    agents = tx.all(select(Agent).where(*ready, Agent.id.not_in(unresponsive)))
    # Agents with the newest heartbeat are the most likely to be running.
    agents.sort(key=lambda agent: agent.seen_at, reverse=True)
    agents.sort(key=lambda agent: taken.get(agent.id, 0))
    rooms = {agent: agent.slots - taken.get(agent.id, 0) for agent in agents}
    return rooms if fleet.fleet_settings() is None else {**rooms, fleet.template(): fleet.room(tx)}


def _under_way(tx: Transaction) -> Counter[str]:
    """Project id → its tasks that count towards maxParallelTasks. A parked task does not."""
    is_at_work = (Task.state_.in_(UNDER_WAY), func.coalesce(Task.phase_, "") != Phase.PARKED)
    query = select(Task.project_id, func.count()).where(*is_at_work).group_by(Task.project_id)
    return Counter(dict(tx.session.execute(query).all()))


def _is_waiting(task: Task) -> bool:
    return task.state is TaskState.BACKLOG or (task.state is TaskState.IN_PROGRESS and task.phase is Phase.QUEUED)


def _start_run(tx: Transaction, task: Task, agent: Agent, driver: str) -> None:
    """Assign the task to the agent with a new run. Does nothing if one of them is not available any more.

    Both are locked.
    """
    is_coming = agent.is_pod and agent.state is AgentState.STARTING
    if not _is_waiting(task) or not (is_coming or agent.state in READY_STATES):
        return
    token, model_token = new_token("awr"), new_model_token()
    run = tx.add(
        Run(
            id=new_id(), state_=RunState.PREPARING, task_id=task.id, project_id=task.project_id, live_task_id=task.id,
            agent_id=agent.id, round=task.round, driver=driver,
            model=chosen_model(task, tx.get(Project, task.project_id), driver), usage={}, token_digest=digest(token),
            model_digest=digest(model_token), secrets_sealed=seal({"token": token, "model_token": model_token}),
            created_at=tx.now(), seen_at=tx.now(),
        )
    )  # fmt: skip
    begin_work(tx, task, agent.id)
    occupy_agent(tx, agent, task_id=task.id, project_id=task.project_id)
    with under(task.trace_parent):
        tx.enqueue(jobs.PREPARE_RUN, run.id, project_id=task.project_id)
