"""Measures the scheduler: many waiting tasks and idle agents, on SQLite and on MariaDB.

Its limit is one compare-and-swap a task, each in a transaction of its own. The two alternate in one run.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from common.database import engines
from common.jobs import catalogue
from common.jobs.announcer import announcer
from common.jobs.catalogue import Lease
from common.models.agent import Agent
from common.models.journal import EventRow, Feed, Job
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task
from common.services.agents.scheduling import schedule_tasks
from common.settings import settings
from common.telemetry.logs import configure_logs
from common.transaction import Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.states import AgentState, ProjectState, TaskState
from tests.bench.figures import Figure, Found, Missing
from tests.databases import create_schema, sqlite_url
from tests.servers import NotInstalled, mariadb_server, redis_server
from tests.web.factories import a_project

CAPABILITIES = ("python", "node", "go", "rust", "java")
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=fsync")
"""As MariaDB is set up where it matters, and as SQLite is here."""
SWAPS = 200
"""How many tasks the limit is measured with."""


@transactional
def _seed(tx: Transaction, project_id: str, tasks: int, agents: int) -> None:
    now = tx.now()
    tx.session.execute(update(Project).where(Project.id == project_id).values(state_=ProjectState.ACTIVE))
    row = {
        "state_": TaskState.BACKLOG, "project_id": project_id, "title": "Measured", "priority": 1, "labels": [],
        "limits": {}, "branch_name": "b", "created_by": "max", "edited_by_ids": [], "created_at": now,
        "updated_at": now, "queued_at": now, "driver": "scripted",
    }  # fmt: skip
    for start in range(0, tasks, 1000):
        rows = [
            {**row, "id": new_id(), "required_capabilities": [CAPABILITIES[number % len(CAPABILITIES)]]}
            for number in range(start, min(start + 1000, tasks))
        ]
        tx.session.execute(insert(Task), rows)
    agent = {
        "state_": AgentState.IDLE, "pod_name": "pod", "driver": "scripted", "drivers": ["scripted"], "findings": [],
        "version": "1", "slots": 1, "created_at": now, "seen_at": now,
    }  # fmt: skip
    tx.session.execute(
        insert(Agent),
        [
            {**agent, "id": new_id(), "digest": new_id(), "capabilities": [CAPABILITIES[number % len(CAPABILITIES)]]}
            for number in range(agents)
        ],
    )


@transactional
def _begin_again(tx: Transaction) -> None:
    """All tasks wait and all agents are idle, as after `_seed`."""
    for model in (Run, Job, EventRow, Feed):
        tx.session.execute(delete(model))
    tx.session.execute(update(Task).values(state_=TaskState.BACKLOG, phase_=None, assigned_agent_id=None))
    tx.session.execute(
        update(Agent).values(state_=AgentState.IDLE, current_task_id=None, last_task_id=None, seen_at=tx.now())
    )


@transactional
def _claimed(tx: Transaction) -> Lease:
    lease = tx.queue.claim(tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None))
    assert lease is not None
    return lease


@transactional
def _swap(tx: Transaction, task_id: str) -> None:
    swap = update(Task).where(Task.id == task_id, Task.state_ == TaskState.BACKLOG)
    tx.session.execute(
        swap.values(state_=TaskState.IN_PROGRESS, phase_="working").execution_options(synchronize_session=False)
    )


def _round(task_ids: list[str]) -> tuple[float, float]:
    """Returns swaps a second, and tasks a second by the scheduler."""
    _begin_again()
    began = time.perf_counter()
    for task_id in task_ids[:SWAPS]:
        _swap(task_id)
    swaps = SWAPS / (time.perf_counter() - began)
    _begin_again()
    lease = _claimed()
    began = time.perf_counter()
    rate = schedule_tasks(lease) / (time.perf_counter() - began)
    announcer().flush(60)
    return swaps, rate


def _measured(name: str, tasks: int, agents: int, rounds: int) -> Iterator[Found]:
    _seed(a_project().id, tasks, agents)
    with snapshot() as read:
        task_ids = list(read.session.scalars(select(Task.id).limit(SWAPS)))
    found = [_round(task_ids) for _ in range(rounds)]
    swaps, rates = ([one[at] for one in found] for at in range(2))
    what = f"{tasks:,} tasks, {agents:,} agents, {name}"
    base = f"{what}: one compare-and-swap a task"
    yield Figure(base, swaps, "a second")
    yield Figure(f"{what}: scheduler", rates, "a second", ratio_of=base, goal="≥ 20")


@contextmanager
def on_database(url: str, folder: Path, redis_url: str) -> Iterator[None]:
    chosen = {
        "AIWORKER_DATABASE_URL": url, "AIWORKER_REDIS_URL": redis_url, "AIWORKER_DATA_DIR": str(folder),
        "AIWORKER_LOG_LEVEL": "WARNING", "AIWORKER_SECRET_KEY": "a secret key that only measurements use, of length",
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    settings.cache_clear()
    try:
        create_schema(url)
        configure_logs()
        yield
    finally:
        announcer().flush(60)
        engines.dispose_engines()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        settings.cache_clear()


def figures(times: int = 5, tasks: int = 10_000, agents: int = 1_000) -> Iterator[Found]:
    """Each figure with its name. MariaDB is left out, by name, where it is not installed."""
    # As a worker does when it has started: workers/__main__.py.
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder, redis_server() as redis_url:
        with on_database(sqlite_url(Path(folder) / "aiworker.db"), Path(folder), redis_url):
            yield from _measured("SQLite", tasks, agents, times)
        try:
            with mariadb_server(*DURABLE) as server, on_database(server.new_database(), Path(folder), redis_url):
                yield from _measured("MariaDB", tasks, agents, times)
        except NotInstalled as reason:
            yield Missing("Scheduler, MariaDB", str(reason))
