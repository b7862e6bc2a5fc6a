"""Measures what a second process of `web` adds, on all cores of the machine: see docs/scaling.md.

The load is a process on the same cores, so on two cores a second process of `web` has none of its own; the CPU of a
request says what each further core would add.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.bench.api_load import load, request_bytes
from tests.bench.figures import Figure, Found, Missing, alternate
from tests.bench.filled import fill
from tests.bench.machine import CORES, cpu_seconds, pss_bytes
from tests.bench.served import DATABASES, Platform, Started, platform, procfile
from tests.servers import NotInstalled

TASKS = 100_000
CONNECTIONS = 16
SECONDS = 3.0


@dataclass(frozen=True)
class Measured:
    """Requests a second, and CPU microseconds of the server for each."""

    rate: float
    cpu_us: float


def _measure(web: Started, request: bytes, status: int) -> Measured:
    before = cpu_seconds(web.pid)
    done = load(urlsplit(web.url).port or 0, lambda _: request, seconds=SECONDS, connections=CONNECTIONS, status=status)
    return Measured(done.rate, (cpu_seconds(web.pid) - before) / done.requests * 1e6)


def _requests(stores: Platform, project_id: str) -> dict[str, tuple[bytes, int]]:
    """The bytes of each request and the status of its answer."""
    token = {"Authorization": f"Bearer {stores.token}"}
    new = {"projectId": project_id, "title": "Measured", "requiredCapabilities": ["none has this"]}
    return {
        "GET /tasks, 50 rows": (request_bytes("GET", f"/api/tasks?projectId={project_id}", token), 200),
        "POST /tasks": (request_bytes("POST", "/api/tasks", token, json.dumps(new).encode()), 201),
    }


def _of_database(database: str, times: int) -> Iterator[Found]:
    with contextlib.ExitStack() as stack:
        stores = stack.enter_context(platform(database))
        project_id = fill(stores, tasks=TASKS, projects=10)[0]
        webs = {
            count: stack.enter_context(procfile("web", stores, cores=CORES, WEB_CONCURRENCY=str(count)))
            for count in (1, 2)
        }
        for what, (request, status) in _requests(stores, project_id).items():
            sides = {f"{count}": functools.partial(_measure, web, request, status) for count, web in webs.items()}
            rounds = alternate(sides, times)
            one, two = (f"{what}, {database}, {processes}" for processes in ("1 process of web", "2 processes of web"))
            for name, base, side in ((one, None, "1"), (two, one, "2")):
                yield Figure(name, [each.rate for each in rounds[side]], "a second", ratio_of=base)
                cpu = [each.cpu_us for each in rounds[side]]
                yield Figure(f"{name}: server CPU", cpu, "µs", ratio_of=base and f"{base}: server CPU")
        sizes = {count: pss_bytes(web.pid) / 2**20 for count, web in webs.items()}
        yield Figure(f"Memory that a second process of web adds, {database}", sizes[2] - sizes[1], "MiB")


def figures(times: int = 5) -> Iterator[Found]:
    """Each figure with its name."""
    for database in DATABASES:
        try:
            yield from _of_database(database, times)
        except NotInstalled as reason:
            yield Missing(database, str(reason))
