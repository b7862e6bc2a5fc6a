"""What grows with the sockets of a process, the agents, the tasks of a group and the projects.

Each cost is measured at several sizes, on both databases. What is promised to be flat is compared with the smallest
size; a page of a list, with the smallest one that has another page. What is promised to be linear is divided by the
size, and that is compared with the size before: only what grows faster than the size makes it rise.
`python -m tests.bench.sizes` measures this alone.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common.settings import settings
from common.states import Role
from tests import builders
from tests.bench import sizes_groups, sizes_rows, sizes_sockets
from tests.bench.figures import Found, Missing, shown
from tests.bench.schedule import DURABLE, on_database
from tests.bench.served import platform
from tests.databases import sqlite_url
from tests.servers import NotInstalled, mariadb_server, redis_server
from web.app import create_app


def figures(times: int = 5, *, most: int = 10_000) -> Iterator[Found]:
    """Each figure with its name. most: no size above it is measured."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder, redis_server() as redis_url:
        path = Path(folder)
        with on_database(sqlite_url(path / "aiworker.db"), path, redis_url):
            yield from _of_database("SQLite", path, times, most)
        try:
            with mariadb_server(*DURABLE) as server, on_database(server.new_database(), path, redis_url):
                yield from _of_database("MariaDB", path, times, most)
        except NotInstalled as reason:
            yield Missing("MariaDB", str(reason))
    with platform() as own:
        own.settings()
        settings.cache_clear()
        yield from sizes_sockets.figures_of(own, times, most)


def _of_database(database: str, folder: Path, times: int, most: int) -> Iterator[Found]:
    """The settings name the database, which has the schema and no rows."""
    app = create_app()
    people = builders.a_user("growing"), builders.a_user("all-seeing", Role.ADMIN)
    member, admin = (builders.client_of(app, one) for one in people)
    clients = sizes_rows.Clients(app, member, admin, people[0].id)
    gc.freeze()
    yield from sizes_groups.figures_of(database, admin, builders.caller_of(people[1]), folder, times, most)
    rows = sizes_rows.Grown(clients)
    yield from rows.agents(database, times, most)
    yield from rows.projects(database, times, most)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--most", type=int, default=10_000)
    chosen = parser.parse_args()
    for found in figures(chosen.times, most=chosen.most):
        what, text = shown(found)
        print(f"{what:<90} {text}", flush=True)


if __name__ == "__main__":
    main()
