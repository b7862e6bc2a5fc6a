"""One queue of another project under the same load, with nothing of AiWorker: dramatiq or huey.

`PEER_REDIS_URL=… python queue_peers.py <name> <a second> <seconds>` starts its workers, sends that load, and prints a
line of JSON: milliseconds from sending to starting, sorted, and CPU milliseconds of the workers for a job.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

URL = os.environ.get("PEER_REDIS_URL", "")
STARTED = "peer:started"
TICK = os.sysconf("SC_CLK_TCK")


def connection() -> Any:
    import redis  # noqa: PLC0415 (this file runs where the platform is not installed)

    return redis.Redis.from_url(URL)


def note(sent: float) -> None:
    """What each job does."""
    client().rpush(STARTED, repr((time.time() - sent) * 1000))


_clients: dict[int, Any] = {}


def client() -> Any:
    if os.getpid() not in _clients:
        _clients[os.getpid()] = connection()
    return _clients[os.getpid()]


if URL:
    with contextlib.suppress(ImportError):
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker

        dramatiq.set_broker(RedisBroker(url=URL))
        by_dramatiq = dramatiq.actor(note)
    with contextlib.suppress(ImportError):
        from huey import RedisHuey

        huey = RedisHuey("measured", url=URL, results=False)
        by_huey = huey.task()(note)

HERE = Path(__file__).parent
WORKERS = {
    "dramatiq": ["-m", "dramatiq", "queue_peers", "--processes", "2", "--threads", "8"],
    "huey": ["-m", "huey.bin.huey_consumer", "queue_peers.huey", "-w", "2", "-k", "process"],
}


def send(name: str) -> None:
    if name == "dramatiq":
        by_dramatiq.send(time.time())
    else:
        # Its consumer knows the task by the name of the module, which is another one in the program that sends.
        importlib.import_module("queue_peers").by_huey(time.time())


def cpu_of(pid: int) -> float:
    """CPU milliseconds of a process and all below it, with those that have ended: a pool replaces its own."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(int, fields[11:15])) * 1000 / TICK + sum(cpu_of(int(child)) for child in children)


def main(name: str, rate: int, seconds: int) -> None:
    connection().flushall()
    worker = subprocess.Popen(
        [sys.executable, *WORKERS[name]], cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        send(name)  # the worker is ready once this one was started
        deadline = time.monotonic() + 60
        while not client().llen(STARTED):
            if worker.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} does not start")
            time.sleep(0.05)
        client().delete(STARTED)
        before, began = cpu_of(worker.pid), time.monotonic()
        for number in range(rate * seconds):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            send(name)
        while client().llen(STARTED) < rate * seconds and time.monotonic() < deadline + seconds:
            time.sleep(0.05)
        cpu = cpu_of(worker.pid) - before
        took = sorted(float(value) for value in client().lrange(STARTED, 0, -1))
        print(json.dumps({"took": took, "cpu": cpu / (rate * seconds)}))
    finally:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
