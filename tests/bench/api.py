"""Measures requests of the API in the product's own web process, in turn with a bare Flask application.

The web process is started by its line in the Procfile, over real rows in SQLite and in MariaDB where it is installed.
`python -m tests.bench.api` measures this alone; `--profile` prints where the time of each request goes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import requests
from sqlalchemy import insert

from common.database import dispose_engines
from common.models.task import Task
from common.names import new_id
from common.services.people.accounts import ensure_first_admin
from common.settings import settings
from common.states import ProjectState, TaskState
from common.transaction import Transaction, transactional
from tests.bench.api_load import Load, cpu_seconds, load, request_bytes
from tests.bench.figures import Figure, Found, Missing, shown
from tests.databases import create_schema, sqlite_url
from tests.servers import ROOT, NotInstalled, mariadb_server, redis_server
from tests.web.made import a_project, set_state

PASSWORD = "a password of the bench"
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
class Server:
    """A gunicorn with one worker."""

    port: int
    arbiter: psutil.Process

    def workers(self) -> list[int]:
        return [child.pid for child in self.arbiter.children()]


@dataclass(frozen=True)
class Asked:
    """A kind of request, and the bare one that it is compared with."""

    what: str
    make: Callable[[int], bytes]
    bare: Callable[[int], bytes]
    status: int = 200


def procfile_line(name: str) -> str:
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    return lines[name]


@contextlib.contextmanager
def served(command: str, **environment: str) -> Iterator[Server]:
    """The program of a line of a Procfile, until the block ends. Waits until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {"AIWORKER_PORT": str(port), "WEB_CONCURRENCY": "1", "PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command}"], cwd=ROOT, env={**os.environ, **environment, **own},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=None,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"does not answer: {command}")
            time.sleep(0.1)
        yield Server(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        requests.get(f"http://127.0.0.1:{port}/api/health/live", timeout=10)
    except requests.RequestException:
        return False
    return True


@transactional
def _fill(tx: Transaction, project_id: str, tasks: int) -> None:
    """Tasks of a project as a long life leaves them, in one go."""
    now = datetime.now(UTC)
    rows = []
    for number in range(tasks):
        task_id, at = new_id(), now - timedelta(minutes=number)
        rows.append(
            {
                "id": task_id, "state_": STATES[number % 4], "project_id": project_id, "title": f"Task {number}",
                "description": "As the customer asked: the list shows the sum of each order, and sorts by it. " * 2,
                "priority": 2, "phase_": None, "labels": ["orders"], "required_capabilities": ["none has this"],
                "limits": {}, "caps": {}, "branch_name": f"task-{task_id[-8:]}-task", "created_by": "admin",
                "edited_by_ids": [], "created_at": at, "updated_at": at, "queued_at": at,
            }
        )  # fmt: skip
    tx.session.execute(insert(Task), rows)


@contextlib.contextmanager
def filled(url: str, tasks: int) -> Iterator[tuple[str, str]]:
    """An environment over this database, with as many tasks. Yields a project's id and a task's."""
    kept = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder, redis_server() as redis_url:
        os.environ |= {
            "AIWORKER_DATA_DIR": folder,
            "AIWORKER_DATABASE_URL": url,
            "AIWORKER_REDIS_URL": redis_url,
            "AIWORKER_ADMIN_PASSWORD": PASSWORD,
            "AIWORKER_WRITES_PER_MINUTE": "100000000",
        }
        try:
            settings.cache_clear()
            create_schema(url)
            ensure_first_admin()
            projects = [a_project(f"Project {number}") for number in range(max(1, tasks // TASKS_OF_PROJECT))]
            for project in projects:
                set_state(project, ProjectState.ACTIVE)
                _fill(project.id, TASKS_OF_PROJECT)
            yield projects[-1].id, folder
        finally:
            dispose_engines()
            os.environ.clear()
            os.environ.update(kept)
            settings.cache_clear()


def _login(server: Server) -> dict[str, str]:
    asked = {"username": "admin", "password": PASSWORD}
    reply = requests.post(f"http://127.0.0.1:{server.port}/api/auth/login", json=asked, timeout=10)
    reply.raise_for_status()
    return {"Authorization": f"Bearer {reply.json()['accessToken']}"}


def kinds(server: Server, project_id: str) -> list[Asked]:
    """The requests that are measured."""
    token = _login(server)
    path = f"/api/tasks?projectId={project_id}&limit=50"
    first = requests.get(f"http://127.0.0.1:{server.port}{path}", headers=token, timeout=10)
    task_id = first.json()["tasks"][7]["id"]
    body = {"projectId": project_id, "title": "Measured", "requiredCapabilities": ["none has this"]}
    new = json.dumps(body).encode()
    hello = request_bytes("GET", "/hello", {})
    listed, one = (request_bytes("GET", of, token) for of in (path, f"/api/tasks/{task_id}"))
    created, echo = request_bytes("POST", "/api/tasks", token, new), request_bytes("POST", "/echo", {}, new)

    def pages(number: int) -> bytes:
        return request_bytes("GET", f"{path}&offset={number % (TASKS_OF_PROJECT - 50)}", token)

    found = [
        Asked("GET /tasks, 50 rows", lambda _: listed, lambda _: hello),
        # More pages than a process keeps, so each is read from the database.
        Asked("GET /tasks, 50 rows, another page each time", pages, lambda _: hello),
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
    """One run: requests a second, CPU microseconds of the server a request, and the median of milliseconds."""

    rate: float
    cpu_us: float
    p50_ms: float


def measure(server: Server, make: Callable[[int], bytes], status: int, seconds: float) -> Measured:
    workers = server.workers()
    before = cpu_seconds(workers)
    done: Load = load(server.port, make, seconds=seconds, connections=CONNECTIONS, status=status)
    used = cpu_seconds(workers) - before
    return Measured(done.rate, used / done.requests * 1e6, statistics.median(done.taken_ms))


def _of_database(name: str, url: str, tasks: int, seconds: float, times: int, only: str | None) -> Iterator[Found]:
    bare_line = procfile_line("web").replace("web.app:create_app()", "tests.bench.bare_app:create_app()")
    with (
        filled(url, tasks) as (project_id, _folder),
        served(procfile_line("web")) as product,
        served(bare_line) as bare,
    ):
        for kind in kinds(product, project_id):
            if only is not None and only not in kind.what:
                continue
            measure(product, kind.make, kind.status, seconds / 4)  # what is loaded by the first requests is not theirs
            ours, theirs = [], []
            for _ in range(times):
                theirs.append(measure(bare, kind.bare, 201 if kind.status == 201 else 200, seconds))
                ours.append(measure(product, kind.make, kind.status, seconds))
            yield from _compared(kind.what, name, ours, theirs)


def _compared(what: str, database: str, ours: list[Measured], bare: list[Measured]) -> Iterator[Found]:
    """Rates and CPU of the rounds, each beside the bare application's in the same round."""
    name, base = f"{what}, {database}", f"bare Flask beside {what}, {database}"
    yield Figure(base, [one.rate for one in bare], "a second")
    p50 = statistics.median(one.p50_ms for one in ours)
    goal = GOALS.get((what, database))
    yield Figure(name, [one.rate for one in ours], "a second", ratio_of=base, goal=goal, note=f"p50 {p50:.1f} ms")
    yield Figure(f"{base}: server CPU", [one.cpu_us for one in bare], "µs")
    yield Figure(f"{name}: server CPU", [one.cpu_us for one in ours], "µs", ratio_of=f"{base}: server CPU")


def figures(
    tasks: int = 100_000,
    seconds: float = 2.0,
    times: int = 5,
    only: str | None = None,
    databases: str = "sqlite mariadb",
) -> Iterator[Found]:
    """Each figure with its name. only: a part of a kind's name. A database that is not installed is named."""
    if "sqlite" in databases:
        with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
            yield from _of_database("SQLite", sqlite_url(Path(folder) / "aiworker.db"), tasks, seconds, times, only)
    if "mariadb" in databases:
        try:
            with mariadb_server("--innodb-buffer-pool-size=512M") as server:
                yield from _of_database("MariaDB", server.new_database(), tasks, seconds, times, only)
        except NotInstalled as reason:
            yield Missing("API on MariaDB", str(reason))


def profile(tasks: int, seconds: float, only: str | None) -> Iterator[Found]:
    """The share of the server's CPU time in each module, for each kind of request, on SQLite."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
        samples = Path(folder) / "samples"
        line = procfile_line("web").replace("web/gunicorn.conf.py", "tests/bench/sampled.conf.py")
        url = sqlite_url(Path(folder) / "aiworker.db")
        with filled(url, tasks) as (project_id, _), served(line, AIWORKER_BENCH_SAMPLES=str(samples)) as server:
            for kind in kinds(server, project_id):
                if only is not None and only not in kind.what:
                    continue
                measure(server, kind.make, kind.status, seconds / 4)
                samples.write_text("")
                before = cpu_seconds(server.workers())
                done = load(server.port, kind.make, seconds=seconds, connections=1, status=kind.status)
                used = (cpu_seconds(server.workers()) - before) / done.requests * 1e6
                yield from _shares(kind.what, samples, used)


def _shares(what: str, samples: Path, used_us: float) -> Iterator[Found]:
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    stacks = [line.split(";") for line in samples.read_text().splitlines() if line]
    for stack in stacks:
        own[stack[-1]] += 1
        below.update(set(stack))
    yield f"{what}: CPU a request", f"{used_us:.0f} µs, {len(stacks)} samples"
    for place, count in own.most_common(25):
        yield f"    itself: {place}", f"{count / len(stacks):6.1%}"
    for place, count in below.most_common(70):
        yield f"    with what it calls: {place}", f"{count / len(stacks):6.1%}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", help="a part of a kind's name")
    parser.add_argument("--databases", default="sqlite mariadb")
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    found: Iterator[Found]
    if chosen.profile:
        found = profile(chosen.tasks, chosen.seconds, chosen.only)
    else:
        found = figures(chosen.tasks, chosen.seconds, chosen.times, chosen.only, chosen.databases)
    for one in found:
        what, text = shown(one)
        print(f"{what:<75} {text}", flush=True)


if __name__ == "__main__":
    main()
