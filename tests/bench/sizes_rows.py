"""What requests, heartbeats, sweeps and a pass of the scheduler cost with more agents, and with more projects.

The rows are what the services would have written. Every project has ten tasks, of which one is ready to test and one is
approved: so its repository is watched. One of four projects is restricted, and the member is in every other of those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, text, update

from common import database, jobs
from common.announcer import announcer
from common.jobs import Kind, Lease
from common.models import Agent, Feed, Job, Mark, Project, ProjectMember, Run, Task
from common.models.base import Base
from common.services.delivery.restoring import begin_restore
from common.services.runs.agents import expire_agents
from common.services.runs.scheduling import schedule_tasks
from common.states import AgentState, Role, TaskState
from common.transaction import Transaction, transactional
from tests import builders
from tests.bench.figures import Figure
from tests.bench.filled import agent_row, agent_token, id_of, insert_rows, project_row, task_row
from tests.bench.sizes_promised import Axis, Cost, Promise, milliseconds
from workers import sweeps

SIZES = (1, 10, 100, 1_000)
PAGE = 10
"""Rows of the pages that are asked for."""
MORE_PAGES = 100
"""The size from which on there is another page, which is when the rows are counted."""
STATES = (TaskState.PRODUCTION,) * 7 + (TaskState.FAILED, TaskState.READY_TO_TEST, TaskState.APPROVED)
"""Of a project's tasks."""
WAITING = 10_000_000
"""The number of the task that waits for an agent."""
CAPABILITIES = ("python", "node")
Costs = Mapping[Cost, Callable[[], object]]


@dataclass(frozen=True)
class Clients:
    """Who asks. member_id: the user who sees only some projects."""

    app: Flask
    member: FlaskClient
    admin: FlaskClient
    member_id: str

    def get(self, client: FlaskClient, path: str) -> Callable[[], object]:
        """A request that succeeds."""

        def ask() -> None:
            reply = client.get(path)
            assert reply.status_code == 200, reply.get_data(as_text=True)

        return ask


class Grown:
    """The rows of the database that the settings name."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._projects = 0
        self._agents = 0

    def agents(self, where: str, rounds: int, most: int) -> Iterator[Figure]:
        """What more agents cost: all of them idle, in one project."""
        axis = Axis("agent", "agents", SIZES, where).upto(most)
        self._add_projects(1)
        for size in axis.sizes:
            self._add_agents(size)
            yield from self._figures(axis, size, self._of_agents(), rounds)
        _remove_agents()
        self._agents = 0

    def projects(self, where: str, rounds: int, most: int) -> Iterator[Figure]:
        """What more projects cost, with one idle agent."""
        axis = Axis("project", "projects", SIZES, where).upto(most)
        self._add_agents(1)
        for size in axis.sizes:
            self._add_projects(size)
            yield from self._figures(axis, size, self._of_projects(), rounds)

    def _figures(self, axis: Axis, size: int, costs: Costs, rounds: int) -> Iterator[Figure]:
        for cost, act in costs.items():
            yield cost.at(axis, size, milliseconds(act, rounds, _begin_again))
        _begin_again()

    def _of_agents(self) -> Costs:
        get, member = self._clients.get, self._clients.member
        agent = builders.client_with(self._clients.app, agent_token(0))
        return {
            Cost("GET /agents, first page", Promise.FLAT, since=MORE_PAGES): get(member, f"/api/agents?limit={PAGE}"),
            Cost("heartbeat", Promise.FLAT): lambda: _beat(agent),
            Cost("sweep for lost agents", Promise.FLAT): expire_agents,
            Cost("pass of the scheduler for one new task", Promise.LINEAR): _schedule,
        }

    def _of_projects(self) -> Costs:
        get, member, admin = self._clients.get, self._clients.member, self._clients.admin
        board = f"/api/board?projectId={id_of(0, kind=1)}"
        page = f"limit={PAGE}"
        return {
            Cost("GET /projects, administrator", Promise.FLAT, since=MORE_PAGES): get(admin, f"/api/projects?{page}"),
            Cost("GET /projects, member", Promise.FLAT, since=MORE_PAGES): get(member, f"/api/projects?{page}"),
            Cost("board of one project", Promise.FLAT): get(member, board),
            Cost("GET /tasks, administrator", Promise.FLAT): get(admin, f"/api/tasks?{page}"),
            Cost("GET /tasks, member", Promise.LINEAR): get(member, f"/api/tasks?{page}"),
            Cost("inbox, member", Promise.LINEAR): get(member, "/api/inbox"),
            Cost("pass of the scheduler for one new task", Promise.FLAT): _schedule,
            Cost("sweep of jobs", Promise.FLAT): sweeps.sweep,
            Cost("sweep of agents", Promise.FLAT): sweeps.sweep_agents,
            Cost("slow sweep, with all purges", Promise.LINEAR): sweeps.sweep_slowly,
            Cost("comparison with the runtime", Promise.LINEAR): _compare_with_runtime,
        }

    def _add_agents(self, size: int) -> None:
        _insert(Agent, [agent_row(number, CAPABILITIES) for number in range(self._agents, size)])
        self._agents = size

    def _add_projects(self, size: int) -> None:
        new = range(self._projects, size)
        ids = {number: id_of(number, kind=1) for number in new}
        _insert(
            Project,
            [{**project_row(number, id_), "is_restricted": number % 4 == 3} for number, id_ in ids.items()],
        )
        _insert(Feed, [{"id": id_, "seq": 0} for id_ in ids.values()])
        member = {"user_id": self._clients.member_id, "role": Role.MEMBER}
        _insert(ProjectMember, [{**member, "project_id": ids[number]} for number in new if number % 8 == 3])
        tasks = [
            task_row(number * len(STATES) + place, [id_], state)
            for number, id_ in ids.items()
            for place, state in enumerate(STATES)
        ]
        if not self._projects:
            tasks.append(task_row(WAITING, [ids[0]], TaskState.BACKLOG))
        _insert(Task, tasks)
        self._projects = size


def _insert(model: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert the rows, and bring MariaDB's statistics up to date, as it does by itself; SQLite has none."""
    with database.engine().connect() as connection:
        insert_rows(connection, model, rows)
        connection.commit()
        if not database.is_sqlite():
            connection.execute(text(f"ANALYZE TABLE {model.__tablename__}"))


@transactional
def _remove_agents(tx: Transaction) -> None:
    tx.session.execute(delete(Agent))


@transactional
def _lease(tx: Transaction, kind: Kind) -> Lease:
    lease = tx.queue.claim(tx.enqueue(kind, "platform", project_id=None))
    assert lease is not None
    return lease


def _schedule() -> None:
    """One pass, for the one task that waits."""
    assert schedule_tasks(_lease(jobs.SCHEDULE_TASKS)) == 1


def _compare_with_runtime() -> None:
    begin_restore(_lease(jobs.RESTORE_RUNTIME), set())


def _beat(agent: FlaskClient) -> None:
    reply = agent.post("/api/runner/heartbeat", json={"runIds": []})
    assert reply.status_code == 200, reply.get_data(as_text=True)


def _begin_again() -> None:
    """One task waits, all agents are idle, no job is due, and every sweep does all that it ever does."""
    announcer().flush(60)
    _rewind()


@transactional
def _rewind(tx: Transaction) -> None:
    for model in (Run, Job, Mark):
        tx.session.execute(delete(model))
    waits = {"state_": TaskState.BACKLOG, "phase_": None, "assigned_agent_id": None}
    tx.session.execute(update(Task).where(Task.id == id_of(WAITING)).values(waits))
    idle = {"state_": AgentState.IDLE, "current_task_id": None, "last_task_id": None}
    tx.session.execute(update(Agent).where(Agent.state_ != AgentState.IDLE).values(idle))
