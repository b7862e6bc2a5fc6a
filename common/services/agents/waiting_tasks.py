"""What the scheduler reads: the tasks that wait, their projects, and the agents that are ready.

Everything is read in columns, outside of any transaction and without locks. It may be out of date when it is used:
`common/services/agents/assigning.py` looks again at each row, locked, before it writes.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, type_coerce
from sqlalchemy.orm import aliased

from common.database.compiled_statements import AnySelect, SharedJson, Statement
from common.database.engines import UtcDateTime
from common.models.agent import Agent
from common.models.project import Project
from common.models.run import Run, RunSession
from common.models.task import Task, TaskCheck, TaskDependency
from common.services.agents.claims import FIRST_DRIVER
from common.transaction import Snapshot, Transaction
from common.values.runs.parking import Parked
from common.values.states import DELIVERABLE, UNDER_WAY, AgentState, Outcome, Phase, ProjectState, TaskState
from common.values.testing.agent_review import AGENT_REVIEW, NO_AGENT, read_agent_review

PAGE = 1000
"""Waiting tasks read at once."""
AGENT_LOST_SECONDS = 60
"""An agent without a heartbeat for this long loses its runs."""
READY_STATES = (AgentState.IDLE, AgentState.BUSY)
AWAY_STATES = {AgentState.DRAINING, AgentState.OFFLINE}


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
    """A project whose tasks may start. is_held: only one of them, as the last runs could not be prepared."""

    id: str
    is_held: bool
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
    return or_(and_(Task.state_ == TaskState.BACKLOG, _has_files()), queued)


def needs_no_other() -> ColumnElement[bool]:
    """Query condition: all tasks that the task depends on are approved."""
    waits_for = aliased(Task)
    unmet = (
        select(TaskDependency.task_id)
        .join(waits_for, waits_for.id == TaskDependency.depends_on_id)
        .where(TaskDependency.task_id == Task.id, and_(*(waits_for.state_ != state for state in sorted(DELIVERABLE))))
    )
    return ~unmet.exists()


def _has_files() -> ColumnElement[bool]:
    """Query condition: a task in the backlog does not await files."""
    return or_(Task.parked_code.is_(None), Task.parked_code != Parked.FILES)


def waiting_tasks(read: Snapshot) -> Iterator[list[WaitingTask]]:
    """Pages of the tasks that could start, as far as other tasks and their projects are concerned.

    Those that wait in in_progress come first; then whoever waited longest. The last page has fewer than PAGE.
    """
    closed = closed_projects(read)
    queued, backlog = claimable()
    # One query for each state: an index has their order, and the next page begins where the last one ended.
    for first, query in ((_QUEUED, queued), (_BACKLOG, backlog)):
        if closed:
            query = query.where(Task.project_id.not_in(closed))
            tasks = [WaitingTask._make(row) for row in read.session.execute(_page(query))]
        else:
            tasks = [WaitingTask._make(row) for row in read.rows(first)]
        yield tasks
        while len(tasks) == PAGE:
            last = tasks[-1]
            is_later = or_(Task.queued_at > last.queued_at, and_(Task.queued_at == last.queued_at, Task.id > last.id))
            page = _page(query.where(Task.queued_at >= last.queued_at, is_later))
            tasks = [WaitingTask._make(row) for row in read.session.execute(page)]
            yield tasks


def _page(query: AnySelect) -> AnySelect:
    return query.order_by(Task.queued_at, Task.id).limit(PAGE)


@functools.cache
def claimable() -> tuple[AnySelect, AnySelect]:
    """Queries for the tasks that wait in in_progress, and for those in the backlog, of whatever project."""
    found = _task().where(needs_no_other(), ~select(Run.id).where(Run.live_task_id == Task.id).exists())
    queued = found.where(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.QUEUED)
    return queued, found.where(Task.state_ == TaskState.BACKLOG, _has_files())


def closed_projects(read: Snapshot) -> list[str]:
    """The ids of the projects of which no task may start now."""
    return [row[0] for row in read.rows(_CLOSED, now=read.now())]


def projects_of(read: Snapshot, project_ids: Collection[str]) -> dict[str, OpenProject]:
    """The projects by their ids."""
    if not project_ids:
        return {}
    is_held = Project.held_until.is_not(None)
    query = select(Project.id, is_held, Project.max_parallel_tasks, Project.driver, Project.model, Project.caps).where(
        Project.id.in_(project_ids)
    )
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
    found = [(read_agent_review(review), needs) for review, needs in read.rows(_WAITING_REVIEWS)]
    return [(review.driver, frozenset(needs)) for review, needs in found if review is not None]


def live_runs(at: Snapshot | Transaction, agent_ids: Collection[str] | None = None) -> dict[str, int]:
    """Agent id → the number of its runs that are not over. agent_ids: None: of all agents."""
    if agent_ids is None:
        return dict(at.rows(_LIVE_RUNS))
    query = _live_runs().where(Run.agent_id.in_(agent_ids))
    return dict(at.session.execute(query).all())


def _live_runs() -> AnySelect:
    return select(Run.agent_id, func.count()).where(Run.live_task_id.is_not(None)).group_by(Run.agent_id)


def ready_agents(read: Snapshot) -> list[ReadyAgent]:
    """Agents that are ready, whether they have room or not; those with the fewest live runs first.

    No run goes to agents that did not claim a ready run, or whose machine cut a run short, within the last minute.
    """
    now = read.now()
    alive = now - timedelta(seconds=AGENT_LOST_SECONDS)
    soon = now + timedelta(seconds=AGENT_LOST_SECONDS)
    deaf = {row[0] for row in read.rows(_UNRESPONSIVE, alive=alive, soon=soon)}
    taken = live_runs(read)
    ready = [
        ReadyAgent(agent_id, frozenset(capabilities), drivers, findings, is_pod, slots - taken.get(agent_id, 0))
        for agent_id, capabilities, drivers, findings, is_pod, slots in read.rows(_READY, alive=alive)
        if agent_id not in deaf
    ]
    return sorted(ready, key=lambda agent: taken.get(agent.id, 0))


def are_agents_away(read: Snapshot) -> bool:
    """Whether there are agents, and each of them drains or is offline."""
    states = set(read.session.scalars(select(Agent.state_).distinct()))
    return bool(states) and states <= AWAY_STATES


def _unresponsive() -> AnySelect:
    is_unclaimed = (Run.outcome == Outcome.LOST) & Run.started_at.is_(None) & Run.base_sha.is_not(None)
    # Not much later than now: the clock may have been set back.
    lately = Run.finished_at.between(bindparam("alive", type_=UtcDateTime()), bindparam("soon", type_=UtcDateTime()))
    return select(Run.agent_id).where(lately, is_unclaimed | Run.is_cut_short.is_(True))


def _ready() -> AnySelect:
    # Agents with the newest heartbeat are the most likely to be running.
    return (
        select(
            Agent.id,
            type_coerce(Agent.capabilities, SharedJson),
            type_coerce(Agent.drivers, SharedJson),
            type_coerce(Agent.findings, SharedJson),
            Agent.is_pod,
            Agent.slots,
        )
        .where(
            or_(*(Agent.state_ == state for state in READY_STATES)),
            Agent.seen_at >= bindparam("alive", type_=UtcDateTime()),
            Agent.is_pod.is_(False) | Agent.last_task_id.is_(None),
        )
        .order_by(Agent.seen_at.desc())
    )


def _closed() -> AnySelect:
    is_held = Project.held_until > bindparam("now", type_=UtcDateTime())
    return select(Project.id).where(or_(Project.state_ != ProjectState.ACTIVE, is_held))


def reviews_without_agent() -> AnySelect:
    """Query for the reviews of proven work that wait for an agent, in the order in which they were asked for."""
    return (
        select(Project.agent_review, Task.required_capabilities)
        .select_from(Task)
        .join(Project, Project.id == Task.project_id)
        .join(TaskCheck, TaskCheck.task_id == Task.id)
        .where(Task.state_ == TaskState.IN_PROGRESS, Task.phase_ == Phase.VERIFYING)
        .where(TaskCheck.name == AGENT_REVIEW, TaskCheck.status == "running", TaskCheck.code == NO_AGENT)
        .order_by(TaskCheck.at)
    )


_UNRESPONSIVE, _READY, _LIVE_RUNS = Statement(_unresponsive), Statement(_ready), Statement(_live_runs)
_CLOSED, _WAITING_REVIEWS = Statement(_closed), Statement(reviews_without_agent)
_QUEUED, _BACKLOG = Statement(lambda: _page(claimable()[0])), Statement(lambda: _page(claimable()[1]))
