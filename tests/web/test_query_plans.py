"""No query of a list, a count or a sweep reads a whole table that grows, or sorts one.

Every statement that a walk over the API and the sweeps sends is captured, and SQLite is asked how it would run it:
without an index, MariaDB would read as much.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection

from common.database import engines
from common.models import Agent, Job, Project, Run, Task, TaskGroup
from common.models.base import Base
from common.services.tasks import word_search
from common.values.states import DeploymentState, Environment, GroupState, JobState, Role, TaskState
from tests import builders
from tests.sent_statements import recording_statements
from tests.web.world import World, all_of
from workers import sweeps

pytestmark = pytest.mark.slow

FEW = {
    "agents": "as many as there are machines for them; those that are gone are deleted",
    "api_tokens": "what people keep; shown and ended by them",
    "enrolment_tokens": "what administrators keep",
    "feeds": "one for each project",
    "marks": "one for each kind of sweep",
    "model_providers": "what administrators set up",
    "platform_settings": "one for each setting",
    "project_members": "people in projects",
    "projects": "what people set up",
    "run_sessions": "the sessions of tasks that may go on; those of others are deleted",
    "users": "people",
    "webhook_positions": "one for each project",
    "alembic_version": "one row",
}
"""Tables that do not grow with the work that is done, and why. Every other table grows."""

KNOWN: dict[str, str] = {
    "common/jobs/queue.py:wake_workers_for_due_jobs": "sorts the jobs that are due",
    "common/services/activity/metrics.py:_count": "metrics count all tasks and groups by state, in an index alone",
    "common/services/spend/today.py:spent_today": "sorts the sums of the calls of one day",
    "common/services/spend/totals.py:read_spend": "sorts the sums of the calls of the days that are asked for",
    "common/services/tasks/question_deadlines.py:watch_questions": "sorts the questions that are due",
    "common/services/tasks/word_search.py:count": "reads at most SAMPLE titles, in an index alone",
}
"""Functions whose statements may read or sort a whole table, and why."""

ONE_THING = re.compile(r"(?<!project_)(?<!feed_)\b\w*(id|key|digest|branch)=\?")
"""How SQLite names the search for the rows of one thing: sorting these costs the same in any table."""


@dataclass(frozen=True)
class Sent:
    """A statement, and the function that sent it."""

    sql: str
    parameters: Any
    origin: str


@contextmanager
def captured() -> Iterator[list[Sent]]:
    """Collect each statement that reads or deletes, once for each function."""
    found: dict[tuple[str, str], Sent] = {}

    def note(sql: str, parameters: object, many: bool) -> None:
        if sql.split(None, 1)[0] in {"SELECT", "UPDATE", "DELETE"} and not many:
            origin = _origin()
            found.setdefault((re.sub(r"\d+", "", sql), origin), Sent(sql, parameters, origin))

    result: list[Sent] = []
    try:
        with recording_statements(note):
            yield result
    finally:
        result.extend(found.values())


def _origin() -> str:
    frame = sys._getframe(1)
    while frame.f_back is not None:
        path = frame.f_code.co_filename
        is_ours = re.search(r"/(common|web|workers)/(?!.*(database|transaction|paging|listing|statements)\.py)", path)
        if is_ours and "/tests/" not in path and "site-packages" not in path:
            return f"{path[is_ours.start() + 1 :]}:{frame.f_code.co_name}"
        frame = frame.f_back
    return "?"


def faults(connection: Connection, sent: Sent) -> list[str]:
    """How SQLite would read or sort a whole table that grows for this statement."""
    steps = [row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sent.sql, sent.parameters)]
    names = _tables(sent.sql)
    found = []
    for step in steps:
        scanned = re.match(r"SCAN (\w+)", step)
        if scanned and names.get(scanned[1]) in _growing() and not _ends_with_its_page(sent.sql):
            found.append(step)
    searched = [step for step in steps if re.match(r"(SCAN|SEARCH) ", step) and _reads_growing(step, names)]
    is_sorted = any("TEMP B-TREE FOR ORDER BY" in step for step in steps)
    if is_sorted and searched and not any(ONE_THING.search(step) for step in searched):
        found.append("; ".join(steps))
    return found


def _reads_growing(step: str, names: dict[str, str]) -> bool:
    named = re.match(r"(?:SCAN|SEARCH) (\w+)", step)
    return named is not None and names.get(named[1]) in _growing()


def _ends_with_its_page(sql: str) -> bool:
    """Whether all rows of an index are wanted, in its order, up to a limit."""
    return " LIMIT " in sql and " WHERE " not in " ".join(sql.split())


def _growing() -> set[str]:
    return {table.name for table in Base.metadata.sorted_tables} - set(FEW)


def _tables(sql: str) -> dict[str, str]:
    """What each name in the statement stands for."""
    named = re.findall(r"(?:FROM|JOIN|UPDATE|,)\s+`?(\w+)`?(?:\s+AS\s+`?(\w+)`?)?", sql)
    return {alias or table: table for table, alias in named if table in Base.metadata.tables}


def an_instance(app: Flask) -> dict[str, str]:
    """A few of each thing: SQLite plans the same for one row as for many. Returns the id of one of each by table."""
    world = World(app)
    project = world.project(has_repository=True)
    for number in range(7):
        world.task(project, f"name {number}")
    agent, _agent_id = world.agent()
    world.claim(agent)
    world.group(project, world.approved(project))
    world.deployment(project, Environment.STAGING)
    things = (Agent, Job, Project, Run, Task, TaskGroup)
    return {thing.__tablename__: all_of(thing)[-1].id for thing in things}


def paths(one: dict[str, str]) -> Iterator[str]:
    """GETs: every list with each of its filters, and one of each thing."""
    project = f"projectId={one['projects']}"
    lists = {
        "tasks": [*(f"state={state}" for state in list(TaskState)[:3]), "state=failed", "priority=urgent",
                  "state=failed&priority=urgent", f"assignedAgentId={one['agents']}", "mine=true", "q=name", "q=7",
                  f"q={one['tasks'][-6:]}"],
        "task-groups": [f"status={GroupState.FAILED}", f"status={GroupState.PRODUCTION}"],
        "deployments": [f"status={DeploymentState.FAILED}", "environment=staging",
                        "environment=staging&status=completed"],
        "jobs": [f"state={JobState.FAILED}", f"state={JobState.DONE}", "kind=deployment.deploy"],
        "agents": ["status=idle"], "projects": [], "users": [], "tokens": [], "enrolment-tokens": [], "sessions": [],
        "webhook/deliveries": [],
    }  # fmt: skip
    for path, filters in lists.items():
        for asked in ("", *filters):
            yield f"/api/{path}?limit=5&{asked}"
            if path in {"tasks", "task-groups", "deployments", "jobs"} and not asked.startswith("q="):
                yield f"/api/{path}?limit=5&{project}&{asked}"
    for asked in ("", "&type=task:updated", "&order=newest", "&afterSeq=5", "&actor=ada"):
        yield f"/api/events?{project}{asked}"
    for path in (
        f"board?{project}", "inbox", f"inbox?{project}", "health", "metrics", "caps", "spend", "spend?by=person",
        f"spend?{project}&by=day", f"tasks/{one['tasks']}", f"tasks/{one['tasks']}/events",
        f"tasks/{one['tasks']}/events?order=newest&beforeSeq=900",
        f"tasks/{one['tasks']}/proposals", f"tasks/{one['tasks']}/attachments", f"tasks/{one['tasks']}/review",
        f"runs/{one['runs']}", f"runs/{one['runs']}/transcript", f"agents/{one['agents']}",
        f"agents/{one['agents']}/logs", f"jobs/{one['jobs']}",
        f"task-groups/{one['task_groups']}", f"task-groups/{one['task_groups']}/train",
        f"projects/{one['projects']}", f"projects/{one['projects']}/members",
        f"projects/{one['projects']}/environments",
    ):  # fmt: skip
        yield f"/api/{path}"


def walk(app: Flask, one: dict[str, str]) -> None:
    for person in (builders.a_user("ada", Role.ADMIN), builders.a_user("mia")):
        client = builders.client_of(app, person)
        for path in paths(one):
            reply = client.get(path)
            assert reply.status_code in {200, 403, 404, 409}, (path, reply.get_data(as_text=True))
            if cursor := (reply.json or {}).get("nextCursor") if reply.is_json else None:
                assert client.get(f"{path}&cursor={cursor}").status_code == 200, path
    for sweep in (sweeps.sweep, sweeps.sweep_agents, sweeps.sweep_slowly):
        sweep()


def test_no_query_reads_or_sorts_a_whole_table_that_grows(plain_app: Flask) -> None:
    one = an_instance(plain_app)
    with captured() as sent:
        walk(plain_app, one)
    with engines.engine(reads=True).connect() as connection:
        connection.execute(word_search.LIST_WORDS)
        connection.execute(word_search.HOLD_WAITING)
        found = {
            (each.origin, fault, " ".join(each.sql.split())) for each in sent for fault in faults(connection, each)
            if each.origin not in KNOWN
        }  # fmt: skip
    assert len(sent) > 100
    assert not found, "\n".join(" | ".join(one) for one in sorted(found))
