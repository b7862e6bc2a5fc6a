"""Measures the queue: from a job's commit to its start in a worker of the platform, and what a job costs the worker.

Beside it, in turn: bare Redis lists (the limit), and dramatiq and huey where an interpreter has them.
`python -m tests.bench.queue --peers …/bin/python` measures this alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete, func, select

from common import jobs
from common.announcer import announcer
from common.models.journal import Job
from common.names import new_id
from common.states import JobState
from common.transaction import Transaction, snapshot, transactional
from tests.bench.queue_peers import cpu_of
from tests.bench.schedule import DURABLE, on_database
from tests.databases import sqlite_url
from tests.servers import ROOT, NotInstalled, mariadb_server, redis_server

PEERS = ("lists", "dramatiq", "huey")
START_SECONDS = 120
RATE, SECONDS = 50, 4
_WORKER = (
    "-m", "workers", "-Q", "sweep,quick", "-c", "2", "-n", "quick@%h", "--pool=prefork", "--without-gossip",
    "--without-mingle", "-E", "--loglevel=WARNING",
)  # fmt: skip


@transactional
def _enqueue(tx: Transaction) -> None:
    # There is no such run: the job finds nothing to do.
    tx.enqueue(jobs.RELEASE_RUN, new_id(), project_id=None)


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
    return statistics.median(took), cpu


def _peer(python: str, name: str, redis_url: str) -> tuple[float, float] | str:
    """As `_load`, of a peer; a line that says why not."""
    ended = subprocess.run(
        [python, str(Path(__file__).parent / "queue_peers.py"), name, str(RATE), str(SECONDS)],
        env={**os.environ, "PEER_REDIS_URL": redis_url}, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or ["it ended"])[-1]
    found = json.loads(ended.stdout)
    return statistics.median(found["took"]), found["cpu"]


def _on(name: str, url: str, folder: Path, redis_url: str, times: int, python: str) -> Iterator[tuple[str, str]]:
    found: dict[str, list[tuple[float, float]]] = {}
    with on_database(url, folder, redis_url), redis_server() as peers_redis:
        worker = subprocess.Popen([sys.executable, *_WORKER], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            _enqueue()
            _wait_for_done(1)
            for number in range(times + 1):
                rounds: dict[str, tuple[float, float] | str] = {"AiWorker": _load(worker.pid)}
                rounds |= {peer: _peer(python, peer, peers_redis) for peer in PEERS}
                for what, result in rounds.items():
                    if isinstance(result, str):
                        if not number:
                            yield f"Job to start, {name}: {what}", f"not measured: {result}"
                    elif number:  # caches are cold in the first round
                        found.setdefault(what, []).append(result)
        finally:
            worker.terminate()
            worker.wait(60)
    for what, results in found.items():
        ratios = [own[0] / other[0] for own, other in zip(found["AiWorker"], results, strict=True)]
        took, cpu = (statistics.median(values) for values in zip(*results, strict=True))
        compared = "" if what == "AiWorker" else f", AiWorker takes {statistics.median(ratios):.2f} x"
        yield f"Job to start, {name}: {what}", f"p50 {took:6.2f} ms, {cpu:5.2f} ms of CPU a job{compared}"


def figures(times: int = 5, peers: str = sys.executable) -> Iterator[tuple[str, str]]:
    """Yields (what, figure). peers: the Python that has dramatiq and huey; what it lacks is named."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder, redis_server() as redis_url:
        yield from _on("SQLite", sqlite_url(Path(folder) / "aiworker.db"), Path(folder), redis_url, times, peers)
        try:
            with mariadb_server(*DURABLE) as server:
                yield from _on("MariaDB", server.new_database(), Path(folder), redis_url, times, peers)
        except NotInstalled as reason:
            yield "Job to start, MariaDB", str(reason)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--peers", default=sys.executable)
    chosen = parser.parse_args()
    for what, figure in figures(chosen.times, chosen.peers):
        print(f"{what:<60} {figure}", flush=True)


if __name__ == "__main__":
    main()
