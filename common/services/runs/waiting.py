"""What the scheduler looks at: the tasks that wait, their projects, and the agents that are ready.

Everything is read in columns, outside of any transaction and without locks. It may be out of date when it is used:
`common/services/runs/assigning.py` looks again at each row, locked, before it writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select, type_coerce
from sqlalchemy.orm import aliased

from common.models.agent import Agent
from common.models.project import Project
from common.models.run import Run, RunSession
from common.models.task import Task, TaskCheck, TaskDependency
from common.services.runs.claims import FIRST_DRIVER
from common.statements import AnySelect, SharedJson
from common.states import DELIVERABLE, UNDER_WAY, AgentState, Outcome, Phase, ProjectState, TaskState
from common.transaction import Snapshot, Transaction
from common.values.agent_review import AGENT_REVIEW, NO_AGENT, read_agent_review

PAGE = 1000
"""Waiting tasks read at once."""
AGENT_LOST_SECONDS = 60
"""An agent without a heartbeat for this long loses its runs."""
READY_STATES = (AgentState.IDLE, AgentState.BUSY)


class WaitingTask(NamedTuple):
    """A task that waits for an agent, with what decides when it starts and on which agent.

    has_waited: it was queued again after it was created.
    """

    id: str
    project_id: str
    state: str
    phase: str | None
    priority: int
    required_capabilities: Sequence[str]
    driver: str | None
    model: str | None
    caps: Mapping[str, float]
    error: str | None
    has_waited: bool
    queued_at: datetime

    @property
    def is_queued(self) -> bool:
        """It waits in in_progress, after an answer, a rejection or a refusal."""
        return self.state == TaskState.IN_PROGRESS


@dataclass(frozen=True, slots=True)
class OpenProject:
    """A project whose tasks may start."""

    id: str
    holds: int
    max_parallel_tasks: int | None
    driver: str | None
    model: str | None
    caps: Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class ReadyAgent:
    """An agent that runs may be given to. id: empty for a new agent of the fleet. room: how many runs it could take."""

    id: str
    capabilities: frozenset[str]
    drivers: Sequence[str]
    findings: Sequence[Mapping[str, object]]
    is_pod: bool
    room: int


def _task() -> AnySelect:
    """Query for what WaitingTask says, in its order."""
    return select(
        Task.id, Task.project_id, Task.state_, Task.phase_, Task.priority,
        type_coerce(Task.required_capabilities, SharedJson), Task.driver, Task.model,
        type_coerce(Task.caps, SharedJson), Task.error, Task.queued_at != Task.created_at, Task.queued_at,
    )  # fmt: skip


def is_waiting() -> ColumnElement[bool]:
    """Query condition: the task waits for an agent."""
    queued = and_(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.QUEUED)
    return or_(Task.state_ == TaskState.BACKLOG, queued)


def waiting_tasks(read: Snapshot) -> Iterator[list[WaitingTask]]:
    """Pages of the tasks that could start, as far as other tasks and their projects are concerned.

    Those that wait in in_progress come first; then whoever waited longest. The last page has fewer than PAGE.
    """
    closed = read.session.scalars(
        select(Project.id).where(or_(Project.state_ != ProjectState.ACTIVE, Project.held_until > read.now()))
    ).all()
    waits_for = aliased(Task)
    unmet = (
        select(TaskDependency.task_id)
        .join(waits_for, waits_for.id == TaskDependency.depends_on_id)
        .where(TaskDependency.task_id == Task.id, waits_for.state_.not_in(DELIVERABLE))
    )
    found = _task().where(~unmet.exists(), ~select(Run.id).where(Run.live_task_id == Task.id).exists())
    if closed:
        found = found.where(Task.project_id.not_in(closed))
    queued = found.where(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.QUEUED)
    # One query for each state: an index has their order, and the next page begins where the last one ended.
    for query in (queued, found.where(Task.state_ == TaskState.BACKLOG)):
        page = query.order_by(Task.queued_at, Task.id).limit(PAGE)
        while True:
            tasks = [WaitingTask._make(row) for row in read.session.execute(page)]
            yield tasks
            if len(tasks) < PAGE:
                break
            last = tasks[-1]
            is_later = or_(Task.queued_at > last.queued_at, and_(Task.queued_at == last.queued_at, Task.id > last.id))
            page = query.where(Task.queued_at >= last.queued_at, is_later).order_by(Task.queued_at, Task.id).limit(PAGE)


def projects_of(read: Snapshot, project_ids: Collection[str]) -> dict[str, OpenProject]:
    """The projects by their ids."""
    if not project_ids:
        return {}
    query = select(
        Project.id, Project.holds, Project.max_parallel_tasks, Project.driver, Project.model, Project.caps
    ).where(Project.id.in_(project_ids))
    return {row[0]: OpenProject(*row) for row in read.session.execute(query)}


def under_way(at: Snapshot | Transaction, project_ids: Collection[str]) -> Counter[str]:
    """Project id → its tasks that count towards maxParallelTasks. A parked task does not."""
    if not project_ids:
        return Counter()
    is_at_work = (Task.state_.in_(UNDER_WAY), func.coalesce(Task.phase_, "") != Phase.PARKED)
    query = select(Task.project_id, func.count()).where(Task.project_id.in_(project_ids), *is_at_work)
    return Counter(dict(at.session.execute(query.group_by(Task.project_id)).all()))


def session_drivers(read: Snapshot, task_ids: Collection[str]) -> dict[str, str]:
    """Task id → the driver that wrote its stored session, for those of the tasks that have one."""
    if not task_ids:
        return {}
    # By the run: the session's own column lies behind its archive, which SQLite would read through.
    query = (
        select(RunSession.task_id, Run.driver)
        .join(Run, Run.id == RunSession.run_id)
        .where(RunSession.part == 0, RunSession.task_id.in_(task_ids))
    )
    return {task_id: driver or FIRST_DRIVER for task_id, driver in read.session.execute(query)}


def descriptions_with(read: Snapshot, word: str, task_ids: Collection[str]) -> dict[str, str]:
    """Task id → its description, for those of the tasks in whose description the word stands."""
    if not task_ids:
        return {}
    query = select(Task.id, Task.description).where(Task.id.in_(task_ids), Task.description.contains(word))
    return dict(read.session.execute(query).all())


def waiting_reviews(read: Snapshot) -> list[tuple[str, frozenset[str]]]:
    """The driver and the capabilities of each review of proven work that waits for an agent."""
    query = (
        select(Project.agent_review, Task.required_capabilities)
        .select_from(Task)
        .join(Project, Project.id == Task.project_id)
        .join(TaskCheck, TaskCheck.task_id == Task.id)
        .where(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.VERIFYING)
        .where(TaskCheck.name == AGENT_REVIEW, TaskCheck.status == "running", TaskCheck.code == NO_AGENT)
        .order_by(TaskCheck.at)
    )
    found = [(read_agent_review(review), needs) for review, needs in read.session.execute(query)]
    return [(review.driver, frozenset(needs)) for review, needs in found if review is not None]


def live_runs(at: Snapshot | Transaction, agent_ids: Collection[str] | None = None) -> dict[str, int]:
    """Agent id → the number of its runs that are not over. agent_ids: None: of all agents."""
    query = select(Run.agent_id, func.count()).where(Run.live_task_id.is_not(None)).group_by(Run.agent_id)
    if agent_ids is not None:
        query = query.where(Run.agent_id.in_(agent_ids))
    return dict(at.session.execute(query).all())


def ready_agents(read: Snapshot) -> list[ReadyAgent]:
    """Agents that are ready, whether they have room or not; those with the fewest live runs first.

    No run goes to agents that did not claim a ready run, or whose machine cut a run short, within the last minute.
    """
    alive = read.now() - timedelta(seconds=AGENT_LOST_SECONDS)
    is_unclaimed = (Run.outcome == Outcome.LOST) & Run.started_at.is_(None) & Run.base_sha.is_not(None)
    unresponsive = select(Run.agent_id).where(Run.finished_at >= alive, is_unclaimed | Run.is_cut_short.is_(True))
    deaf = set(read.session.scalars(unresponsive))
    taken = live_runs(read)
    query: AnySelect = select(
        Agent.id, type_coerce(Agent.capabilities, SharedJson), type_coerce(Agent.drivers, SharedJson),
        type_coerce(Agent.findings, SharedJson), Agent.is_pod, Agent.slots,
    ).where(
        Agent.state_.in_(READY_STATES), Agent.seen_at >= alive,
        Agent.is_pod.is_(False) | Agent.last_task_id.is_(None),
    )  # fmt: skip
    # Agents with the newest heartbeat are the most likely to be running.
    rows = [row for row in read.session.execute(query.order_by(Agent.seen_at.desc())) if row[0] not in deaf]
    rows.sort(key=lambda row: taken.get(row[0], 0))
    return [
        ReadyAgent(agent_id, frozenset(capabilities), drivers, findings, is_pod, slots - taken.get(agent_id, 0))
        for agent_id, capabilities, drivers, findings, is_pod, slots in rows
    ]
