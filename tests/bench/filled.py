"""Fills a platform's database with as many projects and tasks as a measurement needs, in seconds.

The rows are what the services would have written, without their events and jobs. A million tasks are written by the
database itself, as copies of the first ten thousand, each with an id and a time of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, create_engine, event, text

from common.models import Feed, Project, Task
from common.services.projects.projects import DEFAULT_HEALTH_SECONDS
from common.values.names import namespace, task_branch
from common.values.states import Priority, ProjectState, TaskState
from tests.bench.served import Platform

BATCH = 10_000
_BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
_SOMEBODY = "somebody"


def fill(
    platform: Platform,
    *,
    tasks: int,
    projects: int = 1,
    states: tuple[TaskState, ...] = (TaskState.PRODUCTION,),
) -> list[str]:
    """Add projects with tasks. Returns the ids of the projects.

    Task n is in project `n % projects` and in state `states[n % len(states)]` (none that needs a phase); the later its
    number, the later it was created: 10,000 an hour from 1 January 2026 on. tasks: above 10,000 a multiple of it.
    Call it once for each platform.
    """
    if tasks > BATCH and tasks % BATCH:
        raise ValueError(f"{tasks} tasks are not a multiple of {BATCH}")
    engine = create_engine(platform.environ["AIWORKER_DATABASE_URL"])
    if engine.dialect.name == "sqlite":
        # A commit need not outlive the machine: it would wait for the disk.
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    project_ids = [id_of(number, kind=1) for number in range(projects)]
    with engine.begin() as connection:
        insert_rows(connection, Project, [project_row(number, id_) for number, id_ in enumerate(project_ids)])
        insert_rows(connection, Feed, [{"id": id_, "seq": 0} for id_ in project_ids])
        first = range(min(tasks, BATCH))
        insert_rows(connection, Task, [task_row(number, project_ids, states[number % len(states)]) for number in first])
    for batch in range(1, tasks // BATCH):
        with engine.begin() as connection:
            _copy_tasks(connection, batch)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE" if engine.dialect.name == "sqlite" else "ANALYZE TABLE tasks"))
    engine.dispose()
    return project_ids


def insert_rows(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> None:
    """Insert what project_row and task_row give."""
    if rows:
        table: Table = model.__table__
        connection.execute(table.insert(), rows)


def _copy_tasks(connection: Connection, batch: int) -> None:
    """Copy the first batch, `batch` hours later: ids and times begin with what is the batch's own."""
    hour = (_BEGAN_AT + timedelta(hours=batch)).strftime("%Y-%m-%d %H")
    new = {
        "id": _joined(connection, ":clock", "substr(id, 9, 24)", ":tail"),
        "branch_name": _joined(connection, "'task-'", "substr(id, 29, 4)", ":tail", "'-measured'"),
        **{
            name: _joined(connection, ":hour", f"substr({name}, 14)")
            for name in ("created_at", "updated_at", "queued_at")
        },
    }
    names = [column.name for column in Task.__table__.columns]
    statement = "INSERT INTO tasks ({}) SELECT {} FROM tasks WHERE id LIKE :first".format(
        ", ".join(f"`{name}`" for name in names), ", ".join(new.get(name, f"`{name}`") for name in names)
    )
    values = {"clock": _clock(batch), "tail": f"{batch:04x}", "hour": hour, "first": f"{_clock(0)}-%"}
    connection.execute(text(statement), values)


def _joined(connection: Connection, *parts: str) -> str:
    return " || ".join(parts) if connection.dialect.name == "sqlite" else f"concat({', '.join(parts)})"


def _clock(batch: int) -> str:
    """The first digits of ids."""
    return f"{0x019B7000 + batch:08x}"


def id_of(number: int, *, kind: int = 0) -> str:
    """A version 7 UUID of the first batch. It ends in the number of the batch, as short ids are the last 8 digits."""
    return f"{_clock(0)}-{kind:04x}-7000-8000-{number:08x}0000"


def project_row(number: int, id_: str) -> dict[str, Any]:
    """An active project that everybody sees, in columns; task_row likewise."""
    name = f"measured-{number}"
    return {
        "id": id_, "shown_name": name, "name": name, "slug": name, "namespace": namespace(name, id_),
        "repository_owner": "aiworker", "repository_url": f"http://localhost/git/aiworker/{name}",
        "default_branch": "main", "secret_env_names": [], "secrets_in_checks": [], "secrets_in_previews": [],
        "health_seconds": dict(DEFAULT_HEALTH_SECONDS), "preview_ttl_hours": 72, "forbidden_paths": [], "limits": {},
        "state": ProjectState.ACTIVE, "created_by": _SOMEBODY, "created_at": _BEGAN_AT,
    }  # fmt: skip


def task_row(number: int, project_ids: list[str], state: TaskState) -> dict[str, Any]:
    at = _BEGAN_AT + timedelta(seconds=3600 / BATCH) * number
    id_ = id_of(number)
    return {
        "id": id_, "project_id": project_ids[number % len(project_ids)],
        "title": f"Task {number} about {_words(number)}",
        "description": "What is to be done, in a sentence or two of some length, as people write it.",
        "priority": Priority.MEDIUM, "state": state, "labels": ["measured"], "required_capabilities": [],
        "limits": {}, "branch_name": task_branch(id_, "measured"),
        "created_by": _SOMEBODY, "created_at": at, "updated_at": at, "queued_at": at,
    }  # fmt: skip


def _words(number: int) -> str:
    words = ("login", "search", "export", "invoices", "pictures", "cache", "tests")
    return f"{words[number % 7]} and {words[number // 7 % 7]}"
