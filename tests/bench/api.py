"""Measures requests of the API in the product's own web process, in turn with a bare Flask application.

The web process is started by its line in the Procfile, over real rows in SQLite and in MariaDB where it is installed.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from common.values.states import TaskState
from tests.bench.api_load import Load, load, request_bytes
from tests.bench.figures import Figure, Found, Missing
from tests.bench.filled import fill
from tests.bench.machine import LOAD_CORES, pinned
from tests.bench.served import DATABASES, Platform, Started, platform, procfile
from tests.servers import NotInstalled

CONNECTIONS = 16
TASKS_OF_PROJECT = 500
GOALS = {
    ("GET /tasks, 50 rows", "SQLite"): "≥ 0.4",
    ("GET /tasks, 50 rows", "MariaDB"): "≥ 0.13",
    ("GET /tasks, unchanged (304)", "SQLite"): "≥ 0.5",
    ("GET /tasks, unchanged (304)", "MariaDB"): "≥ 0.5",
    ("GET one task", "SQLite"): "≥ 0.4",
    ("GET one task", "MariaDB"): "≥ 0.4",
    ("POST /tasks", "SQLite"): "≥ 0.2",
    ("POST /tasks", "MariaDB"): "≥ 0.3",
}
"""Of the rate of the bare application, by what is asked and the database."""
STATES = (TaskState.BACKLOG, TaskState.FAILED, TaskState.CANCELLED, TaskState.PRODUCTION)


@dataclass(frozen=True)
class Asked:
    """A kind of request, and the bare one that it is compared with."""

    what: str
    make: Callable[[int], bytes]
    bare: Callable[[int], bytes]
    status: int = 200


def _login(server: Started, password: str) -> dict[str, str]:
    asked = {"username": "admin", "password": password}
    reply = requests.post(f"{server.url}/api/auth/login", json=asked, timeout=10)
    reply.raise_for_status()
    return {"Authorization": f"Bearer {reply.json()['accessToken']}"}


def kinds(server: Started, password: str, project_id: str) -> list[Asked]:
    """The requests that are measured. password: the administrator's."""
    token = _login(server, password)
    path = f"/api/tasks?projectId={project_id}&limit=50"
    body = {"projectId": project_id, "title": "Measured", "requiredCapabilities": ["none has this"]}
    # With its first event the project has a version, and its lists an ETag.
    made = requests.post(f"{server.url}/api/tasks", json=body, headers=token, timeout=10)
    made.raise_for_status()
    first = requests.get(f"{server.url}{path}", headers=token, timeout=10)
    task_id = first.json()["tasks"][7]["id"]
    new = json.dumps(body).encode()
    hello = request_bytes("GET", "/hello", {})
    listed, one = (request_bytes("GET", of, token) for of in (path, f"/api/tasks/{task_id}"))
    created, echo = request_bytes("POST", "/api/tasks", token, new), request_bytes("POST", "/echo", {}, new)

    found = [
        Asked("GET /tasks, 50 rows", lambda _: listed, lambda _: hello),
        Asked("GET one task", lambda _: one, lambda _: hello),
        Asked("POST /tasks", lambda _: created, lambda _: echo, 201),
    ]
    etag = first.headers.get("ETag")
    if etag is not None:
        unchanged = request_bytes("GET", path, {**token, "If-None-Match": etag})
        found.insert(1, Asked("GET /tasks, unchanged (304)", lambda _: unchanged, lambda _: hello, 304))
    return found


@dataclass(frozen=True)
class Measured:
    """One run: requests a second, and the median of milliseconds."""

    rate: float
    p50_ms: float


def measure(server: Started, make: Callable[[int], bytes], status: int, seconds: float) -> Measured:
    port = urlsplit(server.url).port or 0
    done: Load = load(port, make, seconds=seconds, connections=CONNECTIONS, status=status)
    return Measured(done.rate, statistics.median(done.taken_ms))


@contextlib.contextmanager
def _filled(database: str, tasks: int) -> Iterator[tuple[Platform, str]]:
    """A platform with as many tasks, and the id of one of its projects."""
    with platform(database, WEB_CONCURRENCY="1") as stores, pinned(LOAD_CORES):
        yield stores, fill(stores, tasks=tasks, projects=max(1, tasks // TASKS_OF_PROJECT), states=STATES)[-1]


def _of_database(name: str, tasks: int, seconds: float, times: int, only: str | None) -> Iterator[Found]:
    with (
        _filled(name, tasks) as (stores, project_id),
        procfile("web", stores) as product,
        procfile("web", stores, app="tests.bench.bare_app:create_app()") as bare,
    ):
        for kind in kinds(product, stores.environ["AIWORKER_ADMIN_PASSWORD"], project_id):
            if only is not None and only not in kind.what:
                continue
            measure(product, kind.make, kind.status, seconds / 4)  # what is loaded by the first requests is not theirs
            ours, theirs = [], []
            for _ in range(times):
                theirs.append(measure(bare, kind.bare, 201 if kind.status == 201 else 200, seconds))
                ours.append(measure(product, kind.make, kind.status, seconds))
            yield from _compared(kind.what, name, ours, theirs)


def _compared(what: str, database: str, ours: list[Measured], bare: list[Measured]) -> Iterator[Found]:
    """Rates of the rounds, each beside the bare application's in the same round."""
    name, base = f"{what}, {database}", f"bare Flask beside {what}, {database}"
    yield Figure(base, [one.rate for one in bare], "a second")
    p50 = statistics.median(one.p50_ms for one in ours)
    goal = GOALS.get((what, database))
    yield Figure(name, [one.rate for one in ours], "a second", ratio_of=base, goal=goal, note=f"p50 {p50:.1f} ms")


def figures(tasks: int = 100_000, seconds: float = 2.0, times: int = 5, only: str | None = None) -> Iterator[Found]:
    """Each figure with its name. only: a part of a kind's name. A database that is not installed is named."""
    for database in DATABASES:
        try:
            yield from _of_database(database, tasks, seconds, times, only)
        except NotInstalled as reason:
            yield Missing(f"API on {database}", str(reason))
