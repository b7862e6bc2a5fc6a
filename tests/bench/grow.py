"""What lists of tasks cost in tables of a thousand and of a million tasks.

The tasks lie in 40 projects. The administrator sees all of them, the member 15: ten open ones, and five of thirty that
are restricted. Requests go through the app in this process; the times are those until the reply is there. Before each
request for one project's tasks somebody creates a task there, so that it is not answered by an earlier reply.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Table, create_engine, text

from common.database.engines import dispose_engines
from common.models import Project, ProjectMember, Task
from common.services.projects.projects import DEFAULT_HEALTH_SECONDS
from common.services.requests.paging import encode_cursor
from common.settings import settings
from common.values.names import namespace
from common.values.states import Priority, ProjectState, Role, TaskState
from tests import builders
from tests.bench.figures import Figure, Found, Missing
from tests.bench.served import DATABASES, platform
from tests.servers import NotInstalled
from web.app import create_app

SIZES = (1_000, 1_000_000)
BATCH = 1_000
PROJECTS, OPEN_PROJECTS, JOINED_PROJECTS = 40, 10, 5
ROUNDS = 7
BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
_COPIED_AT_ONCE = 100
ONE = "one project"
WORDS = ("login", "search", "export", "invoices", "pictures", "cache", "tests")


def figures(times: int = ROUNDS, sizes: tuple[int, ...] = SIZES) -> Iterator[Found]:
    """Each figure with its name, on both databases. sizes: multiples of BATCH, rising."""
    for database in DATABASES:
        try:
            with platform(database, AIWORKER_LOG_LEVEL="WARNING") as stores:
                stores.settings()
                settings.cache_clear()
                yield from _of_database(database, stores.environ["AIWORKER_DATABASE_URL"], times, sizes)
                dispose_engines()
        except NotInstalled as reason:
            yield Missing(database, str(reason))


def _of_database(database: str, url: str, times: int, sizes: tuple[int, ...]) -> Iterator[Found]:
    """Milliseconds of each request at each size. The settings name the database, which has the schema and no tasks.

    Lists are compared with what they took at the first size, a page at depth with the first page of the same size.
    """
    app = create_app()
    people = builders.a_user("growing"), builders.a_user("all-seeing", Role.ADMIN)
    member, admin = (builders.client_of(app, person) for person in people)
    grown = Grown(url, people[0].id)
    for size in sizes:
        grown.grow_to(size)
        for what, client, path in grown.requests(member, admin):
            line = f"{what}, {database}"
            base, goal = f"{line}, {sizes[0]:,} tasks", "≤ 1.5"
            if "at depth" in what:
                base, goal = f"{line.replace(', at depth', '')}, {size:,} tasks", "≤ 1.2"
            elif "priority" in what or ", q " in what:
                base, goal = "", "≤ 50"
            is_first = base == f"{line}, {size:,} tasks"
            yield Figure(
                f"{line}, {size:,} tasks", _times(client, path, times, grown.add if what == ONE else None), "ms",
                ratio_of=None if is_first else base or None,
                goal=goal if size == sizes[-1] else None,
            )  # fmt: skip


def _times(
    client: FlaskClient, path: str, rounds: int, before: Callable[[FlaskClient], None] | None
) -> list[float]:  # fmt: skip
    """before: is called before each request, and not measured."""
    taken: list[float] = []
    for _ in range(rounds + 1):
        if before is not None:
            before(client)
        began = time.perf_counter()
        reply = client.get(path)
        taken.append((time.perf_counter() - began) * 1000)
        assert reply.status_code == 200, reply.get_data(as_text=True)
    return taken[1:]


class Grown:
    """The rows of one database. member_id: who sees only some of the projects."""

    def __init__(self, database_url: str, member_id: str) -> None:
        self._engine = create_engine(database_url)
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        self._size = 0
        self._projects = [_id(number, kind=1) for number in range(PROJECTS)]
        projects = [_project(number, id_) for number, id_ in enumerate(self._projects)]
        joined = self._projects[OPEN_PROJECTS : OPEN_PROJECTS + JOINED_PROJECTS]
        members = [{"project_id": id_, "user_id": member_id, "role": Role.MEMBER} for id_ in joined]
        tasks = [_task(number, self._projects) for number in range(BATCH)]
        with self._engine.begin() as connection:
            for model, rows in ((Project, projects), (ProjectMember, members), (Task, tasks)):
                table: Any = model.__table__
                connection.execute(table.insert(), rows)
        self._size = BATCH

    def grow_to(self, size: int) -> None:
        """Copy the first BATCH tasks, each copy an hour later, and bring the statistics up to date."""
        copies = range(self._size // BATCH, size // BATCH)
        for first in copies[::_COPIED_AT_ONCE]:
            with self._engine.begin() as connection:
                connection.execute(
                    text(self._copying()), {"first": first, "last": min(first + _COPIED_AT_ONCE, copies.stop) - 1}
                )
        self._size = size
        with self._engine.connect() as connection:
            # As old events are purged: who had counted the tasks counts them anew, as no event tells of the copies.
            connection.execute(text("DELETE FROM events"))
            connection.execute(text("ANALYZE" if self._is_sqlite else "ANALYZE TABLE tasks"))
            connection.commit()

    def add(self, client: FlaskClient) -> None:
        """A task in the project whose tasks are listed."""
        reply = client.post("/api/tasks", json={"projectId": self._projects[0], "title": "One more"})
        assert reply.status_code == 201, reply.get_data(as_text=True)

    def _copying(self) -> str:
        later: Callable[[str], str]
        if self._is_sqlite:
            join, number = " || ".join, "printf('%04d', n)"
            later = lambda name: f"strftime('%Y-%m-%d %H:%M:%f000', {name}, n || ' hours')"  # noqa: E731
        else:
            join, number = (lambda parts: f"concat({', '.join(parts)})"), "lpad(n, 4, '0')"
            later = lambda name: f"{name} + interval n hour"  # noqa: E731
        new = {
            "id": join(["'0190'", number, "substr(id, 9)"]),
            "title": join(["title", "' '", "n"]),
            **{name: later(name) for name in ("created_at", "updated_at", "queued_at")},
        }
        table: Table = Task.__table__  # type: ignore[assignment]
        names = [column.name for column in table.columns]
        chosen = ", ".join(new.get(name, f"`{name}`") for name in names)
        count = "WITH RECURSIVE counted(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM counted WHERE n < :last)"
        into = f"INSERT INTO tasks ({', '.join(f'`{name}`' for name in names)})"
        select = f"SELECT {chosen} FROM tasks CROSS JOIN counted WHERE id LIKE '01900000-%'"
        return f"{count} {into} {select}" if self._is_sqlite else f"{into} {count} {select}"

    def requests(self, member: FlaskClient, admin: FlaskClient) -> Iterator[tuple[str, FlaskClient, str]]:
        """What is asked, by whom, and its path."""
        yield ONE, member, f"/api/tasks?projectId={self._projects[0]}"
        for who, client in (("administrator", admin), ("member", member)):
            yield f"all projects, {who}", client, "/api/tasks"
            yield f"all projects, {who}, q in 1 in 1000", client, "/api/tasks?q=rare"
        yield "all projects, member, at depth", member, f"/api/tasks?cursor={self._deep()}"
        yield "all projects, member, priority", member, "/api/tasks?priority=urgent"
        yield "all projects, member, q in all", member, "/api/tasks?q=task"

    def _deep(self) -> str:
        """The cursor after nine tenths of the tasks."""
        query = "SELECT created_at, id FROM tasks ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET :passed"
        with self._engine.connect() as connection:
            at, id_ = connection.execute(text(query), {"passed": self._size * 9 // 10}).one()
        return encode_cursor(datetime.fromisoformat(str(at)).replace(tzinfo=UTC), id_)


def _id(number: int, *, kind: int = 0) -> str:
    return f"01900000-{kind:04}-7000-8000-{number:012}"


def _project(number: int, id_: str) -> dict[str, Any]:
    name = f"grown-{number}"
    return {
        "id": id_, "shown_name": name, "name": name, "slug": name, "namespace": namespace(name, id_),
        "repository_owner": "aiworker", "repository_url": f"http://localhost/git/aiworker/{name}",
        "default_branch": "main", "secret_env_names": [], "secrets_in_checks": [], "secrets_in_previews": [],
        "health_seconds": dict(DEFAULT_HEALTH_SECONDS), "preview_ttl_hours": 72, "forbidden_paths": [], "limits": {},
        "state": ProjectState.ACTIVE, "created_by": "somebody", "created_at": BEGAN_AT,
        "is_restricted": number >= OPEN_PROJECTS,
    }  # fmt: skip


def _task(number: int, projects: list[str]) -> dict[str, Any]:
    at = BEGAN_AT + timedelta(seconds=3 * number)
    return {
        "id": _id(number), "project_id": projects[number % len(projects)],
        "title": f"Task {number} about {WORDS[number % 7]} and {WORDS[number // 7 % 7]}"
        + (", rare" if number == 500 else ""),
        "description": "What is to be done, in a sentence or two of some length, as people write it.",
        "priority": Priority.URGENT if number % 100 == 3 else Priority.MEDIUM,
        "state": TaskState.FAILED if number % 20 == 0 else TaskState.PRODUCTION,
        "labels": [], "required_capabilities": [], "limits": {}, "branch_name": f"task-{number}",
        "created_by": "somebody", "created_at": at, "updated_at": at, "queued_at": at,
    }  # fmt: skip
