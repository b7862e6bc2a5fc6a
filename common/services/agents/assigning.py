"""Assigns waiting tasks to agents: one transaction for up to BATCH of them, in a few statements.

The scheduler's choice was made without locks, so each task, agent and limit is looked at again here, locked. A row that
another transaction has locked is left out rather than waited for: the next pass of the scheduler takes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlalchemy import ClauseElement, or_, select, type_coerce

from common.database.compiled_statements import AnySelect, ListStatement, Places, SharedJson
from common.jobs import catalogue
from common.models.agent import Agent
from common.models.insertion import insert_values
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task
from common.secrets.sealing import digest, new_token, seal
from common.services.agents import pods
from common.services.agents.waiting_tasks import READY_STATES, is_waiting, live_runs, needs_no_other, under_way
from common.services.caps.caps import has_cap_of_runs, lock_platform_cap_of_runs
from common.services.lifecycle.run_states import Occupied, occupy_agents
from common.services.lifecycle.task_states import Begun, begin_work
from common.services.project_settings import held_projects
from common.services.runs.stopped_by_caps import stop_at_cap
from common.services.spend.model_tokens import new_model_token
from common.telemetry.tracing import in_trace, trace_parent
from common.transaction import Transaction
from common.values.names import new_id
from common.values.states import AgentState, ProjectState, RunState, TaskState
from common.values.testing.agent_review import Purpose

BATCH = 200


TaskRequirements: TypeAlias = tuple[str | None, str | None, Sequence[str]]
"""The driver, the model and the capabilities that a task names."""


@dataclass(frozen=True)
class PlannedAssignment:
    """A task, the agent that should get it, and with what. agent_id: empty for a new agent of the fleet.

    own: what the task named when it was matched. has_caps: a cap of spending holds for it.
    """

    task_id: str
    project_id: str
    agent_id: str
    driver: str
    model: str | None
    own: TaskRequirements
    has_caps: bool


@dataclass(frozen=True)
class Assigned:
    """How many runs were created, and how many pairs were left out because something had changed or was locked."""

    runs: int = 0
    left_out: int = 0

    def __add__(self, more: Assigned) -> Assigned:
        return Assigned(self.runs + more.runs, self.left_out + more.left_out)


def assign(tx: Transaction, assignments: Sequence[PlannedAssignment]) -> Assigned:
    """Create a run in state preparing for each pair, as far as its task still waits and its agent still has room."""
    capped = {assignment.project_id for assignment in assignments if assignment.has_caps}
    if capped:
        # Others that assign tasks at this moment are to see the runs that count towards the same caps.
        lock_platform_cap_of_runs(tx)
    room = _lock_projects(tx, {assignment.project_id for assignment in assignments}, capped)
    rows = _WAITING.rows(tx.connection, _asked(assignment.task_id for assignment in assignments))
    tasks = {row[0]: _Task(*row) for row in rows}
    wanted = [assignment for assignment in assignments if _still_holds(assignment, tasks)]
    plain = [assignment for assignment in wanted if not assignment.has_caps]
    made = _start(tx, plain, tasks, room)
    for assignment in wanted:
        # One after the other: the runs of this pass count, too.
        if assignment.has_caps and not stop_at_cap(tx, tx.get(Task, assignment.task_id)):
            made += _start(tx, [assignment], tasks, room)
    return replace(made, left_out=made.left_out + len(assignments) - len(wanted))


@dataclass(frozen=True, slots=True)
class _Task:
    """A task that waits, and is locked."""

    id: str
    state: str
    round: int
    driver: str | None
    model: str | None
    required_capabilities: Sequence[str]
    preview_url: str | None
    trace_parent: str | None


def _waiting(ids: Sequence[Places]) -> ClauseElement:
    columns = (
        Task.id, Task.state_, Task.round, Task.driver, Task.model,
        type_coerce(Task.required_capabilities, SharedJson), Task.preview_url, Task.trace_parent,
    )  # fmt: skip
    # A subquery: the projects are not locked. Who deletes a project locks its tasks before it ends their runs.
    is_open = select(Project.id).where(Project.id == Task.project_id, Project.state_ == ProjectState.ACTIVE).exists()
    found = select(*columns).where(Task.id.in_([one for (one,) in ids]), is_waiting(), needs_no_other(), is_open)
    return _locked(found.order_by(Task.id))


def _locked(query: AnySelect) -> AnySelect:
    """Locks the rows, without those that another transaction has locked."""
    return query.with_for_update(skip_locked=True)


_WAITING = ListStatement(1, _waiting)


def _asked(ids: Iterable[str]) -> list[tuple[str]]:
    return [(one,) for one in sorted(set(ids))]


def _still_holds(assignment: PlannedAssignment, tasks: Mapping[str, _Task]) -> bool:
    task = tasks.get(assignment.task_id)
    return task is not None and (task.driver, task.model, task.required_capabilities) == assignment.own


def _lock_projects(tx: Transaction, project_ids: set[str], capped: set[str]) -> Counter[str]:
    """Lock those of the projects that start only so many tasks at once, or that have a cap of runs.

    capped: those of them whose tasks have caps. Returns how many more tasks may start, for those with such a limit.
    """
    is_narrow = or_(Project.held_until.is_not(None), Project.max_parallel_tasks.is_not(None))
    query = select(Project.id, is_narrow, Project.caps)
    rows = tx.session.execute(query.where(Project.id.in_(project_ids), or_(is_narrow, Project.id.in_(capped))))
    ids = [project_id for project_id, narrow, caps in rows if narrow or has_cap_of_runs(caps)]
    room: Counter[str] = Counter()
    for project in tx.lock_all(Project, ids) if ids else []:
        if project.held_until is not None:
            held_projects.begin_probe(tx, project)
        if project.max_parallel_tasks is not None:
            room[project.id] = project.max_parallel_tasks - under_way(tx, [project.id])[project.id]
    return room


def _start(
    tx: Transaction, assignments: Sequence[PlannedAssignment], tasks: Mapping[str, _Task], room: Counter[str]
) -> Assigned:
    if not assignments:
        return Assigned()
    agents = _agents_with_room(tx, {assignment.agent_id for assignment in assignments})
    chosen: list[tuple[PlannedAssignment, str]] = []
    for assignment in assignments:
        is_new = tasks[assignment.task_id].state == TaskState.BACKLOG
        if is_new and assignment.project_id in room and room[assignment.project_id] <= 0:
            continue
        agent = agents.get(assignment.agent_id)
        if agent is None or agent.room <= 0:
            continue
        agents[assignment.agent_id] = replace(agent, room=agent.room - 1)
        if is_new and assignment.project_id in room:
            room[assignment.project_id] -= 1
        chosen.append((assignment, assignment.agent_id or pods.add_agent(tx).id))
    if chosen:
        _write(tx, chosen, tasks, agents)
    return Assigned(len(chosen), len(assignments) - len(chosen))


@dataclass(frozen=True)
class _Agent:
    """state: before it gets runs. room: its free slots."""

    state: AgentState
    room: int


def _agents_with_room(tx: Transaction, agent_ids: set[str]) -> dict[str, _Agent]:
    """The agents, locked, that runs may be given to, by their ids.

    The empty id stands for all new agents of the fleet.
    """
    existing = agent_ids - {""}
    tx.session.flush()
    rows = _READY.rows(tx.connection, _asked(existing)) if existing else []
    taken = live_runs(tx) if existing else {}
    agents = {agent_id: _Agent(AgentState(state), slots - taken.get(agent_id, 0)) for agent_id, state, slots in rows}
    if "" in agent_ids:
        agents[""] = _Agent(AgentState.STARTING, pods.lock_room(tx))
    return agents


def _ready(ids: Sequence[Places]) -> ClauseElement:
    is_ready = or_(*(Agent.state_ == state for state in READY_STATES))
    found = select(Agent.id, Agent.state_, Agent.slots).where(Agent.id.in_([one for (one,) in ids]), is_ready)
    return _locked(found.order_by(Agent.id))


_READY = ListStatement(1, _ready)


def _write(
    tx: Transaction,
    chosen: Sequence[tuple[PlannedAssignment, str]],
    tasks: Mapping[str, _Task],
    agents: Mapping[str, _Agent],
) -> None:
    runs = [_run(assignment, agent_id, tasks[assignment.task_id]) for assignment, agent_id in chosen]
    tx.session.flush()
    insert_values(
        tx.connection, Run, runs, state=RunState.PREPARING, usage={}, created_at=tx.now(), seen_at=tx.now()
    )  # fmt: skip
    begun = [
        Begun(assignment.task_id, assignment.project_id, task.state == TaskState.IN_PROGRESS, task.preview_url)
        for assignment, _agent_id in chosen
        for task in (tasks[assignment.task_id],)
    ]
    begin_work(tx, begun)
    taken: dict[tuple[str, AgentState], list[tuple[str, str]]] = {}
    for assignment, agent_id in chosen:
        taken.setdefault((agent_id, agents[assignment.agent_id].state), []).append(
            (assignment.task_id, assignment.project_id)
        )
    occupy_agents(tx, [Occupied(agent_id, state, of_it) for (agent_id, state), of_it in taken.items()])
    tx.queue.enqueue_new(
        catalogue.PREPARE_RUN,
        [
            (str(run["id"]), assignment.project_id, _trace_of(tasks[assignment.task_id]))
            for run, (assignment, _agent_id) in zip(runs, chosen, strict=True)
        ],
    )


def _run(assignment: PlannedAssignment, agent_id: str, task: _Task) -> dict[str, object]:
    token, model_token = new_token("awr"), new_model_token()
    return {
        "id": new_id(), "task_id": assignment.task_id, "project_id": assignment.project_id,
        "live_task_id": assignment.task_id, "agent_id": agent_id, "round": task.round,
        "driver": assignment.driver, "model": assignment.model,
        "token_digest": digest(token), "model_digest": digest(model_token),
        "secrets_sealed": seal({"token": token, "model_token": model_token}),
    }  # fmt: skip


@dataclass(frozen=True)
class NewReview:
    """A review of a commit. model: None: the driver's own choice. agent_id: empty for a new agent of the fleet."""

    commit_sha: str
    driver: str
    model: str | None
    agent_id: str


def assign_review(tx: Transaction, task: Task, new: NewReview) -> bool:
    """Create the run, in state preparing. The task is locked and has no live run. False if the agent, or the fleet for
    a new one, has no room.
    """
    agent = _agents_with_room(tx, {new.agent_id}).get(new.agent_id)
    if agent is None or agent.room <= 0:
        return False
    agent_id = new.agent_id or pods.add_agent(tx).id
    token, model_token = new_token("awr"), new_model_token()
    run = tx.add(
        Run(
            state_=RunState.PREPARING, task_id=task.id, project_id=task.project_id, live_task_id=task.id,
            agent_id=agent_id, round=task.round, driver=new.driver, model=new.model, usage={},
            token_digest=digest(token), model_digest=digest(model_token), purpose=Purpose.REVIEW.value,
            secrets_sealed=seal({"token": token, "model_token": model_token}), claimed_sha=new.commit_sha,
            created_at=tx.now(), seen_at=tx.now(),
        )
    )  # fmt: skip
    occupy_agents(tx, [Occupied(agent_id, agent.state, [(task.id, task.project_id)])])
    tx.enqueue(catalogue.PREPARE_RUN, run.id, project_id=task.project_id)
    return True


def _trace_of(task: _Task) -> str | None:
    with in_trace(task.trace_parent):
        return trace_parent()
