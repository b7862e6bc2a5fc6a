"""Assigns tasks to agents, in batches, by one job.

Tasks that wait in in_progress (after an answer, a rejection, a refusal) come first, then tasks in the backlog by
priority, which rises by one step per hour of waiting, then by age. Agents are matched by capabilities and free slots.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import aliased

from common import jobs
from common.jobs import Lease
from common.models.agent import Agent
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task, TaskDependency
from common.names import new_id
from common.sealing import digest, new_token, seal
from common.services.projects import holding
from common.services.runs import fleet
from common.services.runs.lifecycle import occupy_agent
from common.services.spend.model_tokens import new_model_token
from common.services.tasks.lifecycle import begin_work
from common.states import DELIVERABLE, UNDER_WAY, AgentState, Outcome, Phase, ProjectState, RunState, TaskState
from common.transaction import Transaction, transactional

BATCH = 200
PAGE = 1000
"""Claimable tasks read at once."""
AGENT_LOST_SECONDS = 60
"""An agent without a heartbeat for this long loses its runs."""
AGEING_SECONDS = 3600
"""This much waiting time counts as one step of priority."""

READY_STATES = (AgentState.IDLE, AgentState.BUSY)


@transactional
def schedule_tasks(tx: Transaction, lease: Lease) -> int:
    """Assign claimable tasks to free agents. Each task gets a new run in state preparing. Returns how many.

    If no agent is free, the fleet creates one, up to its limit, and the run waits for its pod.
    """
    pairs = _matched(tx)
    holding.begin_probes(tx, {project_id for _task, _agent, project_id in pairs})
    tasks = {task.id: task for task in tx.lock_all(Task, [task_id for task_id, *_ in pairs])}
    agents = {agent.id: agent for agent in tx.lock_all(Agent, {agent_id for _, agent_id, _ in pairs if agent_id})}
    for task_id, agent_id, _ in pairs:
        if task_id in tasks and _is_waiting(tasks[task_id]):
            agent = agents.get(agent_id) if agent_id else fleet.add_agent(tx)
            if agent is not None:
                _start_run(tx, tasks[task_id], agent)
    fleet.add_waiting_agents(tx)
    if len(pairs) == BATCH:
        tx.again(lease, after_seconds=0)
    else:
        tx.finish(lease)
    return len(pairs)


def _matched(tx: Transaction) -> list[tuple[str, str, str]]:
    """Ids of a task, of the agent that should get it (empty: a new one of the fleet), and of the project; not locked.

    A project whose last runs could not be prepared gets one task at most.
    """
    free = _free_agents(tx)
    under_way = _under_way(tx)
    pairs: list[tuple[str, str, str]] = []
    tried: set[str] = set()
    for task in _claimable(tx, free, under_way) if free else []:
        agent = _match(task, free)
        if agent is None or task.project_id in tried or not _has_room(tx, task, under_way):
            continue
        pairs.append((task.id, agent.id, task.project_id))
        if tx.get(Project, task.project_id).holds:
            tried.add(task.project_id)
        free[agent] -= 1
        under_way[task.project_id] += 0 if task.state is TaskState.IN_PROGRESS else 1
        if not any(free.values()):
            break
    return pairs


def _claimable(tx: Transaction, free: Counter[Agent], under_way: Counter[str]) -> list[Task]:
    """The tasks that could start now, in the order in which they should.

    Reads page by page until enough are found, so that tasks which no free agent can do, or whose project is at its
    limit, do not block the tasks behind them, however many they are.
    """
    waits_for = aliased(Task)
    unmet = (
        select(TaskDependency.task_id)
        .join(waits_for, waits_for.id == TaskDependency.depends_on_id)
        .where(TaskDependency.task_id == Task.id, waits_for.state_.not_in(DELIVERABLE))
    )
    queued = and_(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.QUEUED)
    query = (
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
    found: list[Task] = []
    for start in count(0, PAGE):
        page = tx.all(query.offset(start))
        found += [task for task in page if _match(task, free) and _has_room(tx, task, under_way)]
        if len(page) < PAGE or len(found) >= PAGE:
            break
    now = tx.now()
    return sorted(found, key=lambda task: _rank(task, now))[:BATCH]


def _rank(task: Task, now: datetime) -> tuple[bool, float, datetime]:
    waited = (now - task.queued_at) / timedelta(seconds=AGEING_SECONDS)
    return (task.state is not TaskState.IN_PROGRESS, -(task.priority + waited), task.queued_at)


def _free_agents(tx: Transaction) -> Counter[Agent]:
    """Agents with the number of runs that each could take; those with the fewest live runs first.

    Skips agents that did not claim a ready run, or whose machine cut a run short, within the last minute.
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
    free = Counter({agent: room for agent in agents if (room := agent.slots - taken.get(agent.id, 0)) > 0})
    return free | Counter({fleet.template(): more}) if (more := fleet.room(tx)) else free


def _match(task: Task, free: Counter[Agent]) -> Agent | None:
    """A free agent that can do the task; None if there is none. Existing agents come before one to be created.

    Among several, the one with the fewest capabilities, so that the others stay free for tasks that need them.
    """
    fit = [
        agent
        for agent, room in free.items()
        if room > 0
        and set(task.required_capabilities) <= set(agent.capabilities)
        and (task.driver is None or task.driver == agent.driver)
    ]
    return min(fit, key=lambda agent: (not agent.id, len(agent.capabilities)), default=None)


def _under_way(tx: Transaction) -> Counter[str]:
    query = select(Task.project_id, func.count()).where(Task.state_.in_(UNDER_WAY)).group_by(Task.project_id)
    return Counter(dict(tx.session.execute(query).all()))


def _has_room(tx: Transaction, task: Task, under_way: Counter[str]) -> bool:
    most = tx.get(Project, task.project_id).max_parallel_tasks
    return most is None or task.state is TaskState.IN_PROGRESS or under_way[task.project_id] < most


def _is_waiting(task: Task) -> bool:
    return task.state is TaskState.BACKLOG or (task.state is TaskState.IN_PROGRESS and task.phase is Phase.QUEUED)


def _start_run(tx: Transaction, task: Task, agent: Agent) -> None:
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
            agent_id=agent.id, round=task.round, usage={}, token_digest=digest(token), model_digest=digest(model_token),
            secrets_sealed=seal({"token": token, "model_token": model_token}), created_at=tx.now(), seen_at=tx.now(),
        )
    )  # fmt: skip
    begin_work(tx, task, agent.id)
    occupy_agent(tx, agent, task_id=task.id, project_id=task.project_id)
    tx.enqueue(jobs.PREPARE_RUN, run.id, project_id=task.project_id)
