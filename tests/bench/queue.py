"""Measures the queue: from a job's commit to its start in a worker of the platform, and what a job costs the worker.

Beside it, in turn: dramatiq and huey, where they can be installed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete, func, select

from common.database.engines import is_sqlite
from common.jobs import catalogue
from common.jobs.announcer import announcer
from common.models.journal import Job
from common.transaction import Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.states import JobState
from tests.bench.figures import Figure, Found, Missing
from tests.bench.peers import python_peer
from tests.bench.queue_peers import cpu_of
from tests.bench.schedule import DURABLE, on_database
from tests.databases import sqlite_url
from tests.servers import ROOT, NotInstalled, mariadb_server, redis_server

GOALS = {"dramatiq": "≤ 0.25", "huey": "≤ 1.5"}
_WHAT = "Job to start"
PEERS = tuple(GOALS)
START_SECONDS = 120
RATE, SECONDS = 50, 4
_WORKER = (
    "-m", "workers", "-Q", "sweep,quick", "-c", "2", "-n", "quick@%h", "--pool=prefork", "--without-gossip",
    "--without-mingle", "--loglevel=WARNING",
)  # fmt: skip


@transactional
def _enqueue(tx: Transaction) -> None:
    # There is no such run: the job finds nothing to do.
    tx.enqueue(catalogue.RELEASE_RUN, new_id(), project_id=None)


@transactional
def _forget(tx: Transaction) -> None:
    tx.session.execute(delete(Job))


def _done() -> int:
    with snapshot() as read:
        return read.session.execute(select(func.count()).where(Job.state_ == JobState.DONE)).scalar_one()


def _wait_for_done(count: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _done() < count:
        if time.monotonic() > deadline:
            raise RuntimeError("the worker did not run the jobs")
        time.sleep(0.05)


def _load(worker: int) -> tuple[float, float]:
    """Returns the median of the milliseconds from commit to start, and CPU milliseconds of the worker for a job."""
    _forget()
    before, began = cpu_of(worker), time.monotonic()
    for number in range(RATE * SECONDS):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        _enqueue()
    announcer().flush(10)
    _wait_for_done(RATE * SECONDS)
    cpu = (cpu_of(worker) - before) / (RATE * SECONDS)
    with snapshot() as read:
        times = read.session.execute(select(Job.created_at, Job.started_at).where(Job.started_at.is_not(None)))
        took = [(started - created).total_seconds() * 1000 for created, started in times if started is not None]
    # SQLite's clock has milliseconds only.
    return statistics.median_grouped(took, interval=1 if is_sqlite() else 0.001), cpu


def _peer(python: str, name: str, redis_url: str) -> tuple[float, float] | str:
    """As `_load`, of a peer; a line that says why not."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
        # Not where it lies: there a peer would take queue.py for that of the standard library.
        script = shutil.copy(Path(__file__).with_name("queue_peers.py"), folder)
        ended = subprocess.run(
            [python, script, name, str(RATE), str(SECONDS)], env={**os.environ, "PEER_REDIS_URL": redis_url},
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or ["it ended"])[-1]
    found = json.loads(ended.stdout)
    return statistics.median(found["took"]), found["cpu"]


def _on(name: str, url: str, folder: Path, redis_url: str, times: int, python: str) -> Iterator[Found]:
    found: dict[str, list[tuple[float, float]]] = {}
    with on_database(url, folder, redis_url), redis_server() as peers_redis:
        worker = subprocess.Popen([sys.executable, *_WORKER], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            _enqueue()
            _wait_for_done(1)
            peers = list(PEERS)
            for number in range(times + 1):
                rounds: dict[str, tuple[float, float] | str] = {"AiWorker": _load(worker.pid)}
                rounds |= {peer: _peer(python, peer, peers_redis) for peer in peers}
                for what, result in rounds.items():
                    if isinstance(result, str):
                        peers.remove(what)
                        yield Missing(f"{_WHAT}, {name}: {what}", result)
                    elif number:  # caches are cold in the first round
                        found.setdefault(what, []).append(result)
        finally:
            worker.terminate()
            worker.wait(60)
    for what, results in found.items():
        took, cpu = ([one[at] for one in results] for at in (0, 1))
        yield Figure(f"{_WHAT}, {name}: {what}", took, "ms", note=f"{statistics.median(cpu):.2f} ms of CPU a job")
    own = [one[0] for one in found["AiWorker"]]
    for peer in [one for one in found if one != "AiWorker"]:
        base = f"{_WHAT}, {name}: {peer}"
        yield Figure(f"{_WHAT}, {name}: AiWorker beside {peer}", own, "ms", ratio_of=base, goal=GOALS.get(peer))


def figures(times: int = 5) -> Iterator[Found]:
    """Each figure with its name."""
    installed = python_peer("queues", "dramatiq[redis]", "huey", "redis")
    yield from installed.versions
    if installed.command is None:
        yield installed.missing
    peers = installed.command[0] if installed.command else sys.executable
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder, redis_server() as redis_url:
        yield from _on("SQLite", sqlite_url(Path(folder) / "aiworker.db"), Path(folder), redis_url, times, peers)
        try:
            with mariadb_server(*DURABLE) as server:
                yield from _on("MariaDB", server.new_database(), Path(folder), redis_url, times, peers)
        except NotInstalled as reason:
            yield Missing(f"{_WHAT}, MariaDB", str(reason))
