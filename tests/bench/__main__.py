"""Starts an instance of its own and measures it over HTTP and WebSocket. Prints a line a figure."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.bench import gateway, page, sandbox_start
from tests.e2e.client import Client, Listener
from tests.e2e.instance import Instance, running

CLIENTS = 8
ONLY = ("start", "api", "ws", "gateway", "sandbox", "page")
UNLIMITED = {"AIWORKER_WRITES_PER_MINUTE": "1000000"}
"""One person's clients are what is measured."""


def show(what: str, figure: str) -> None:
    print(f"{what:<58} {figure}", flush=True)


def timed(act: Callable[[int], Any], times: int) -> tuple[float, list[float]]:
    """Act `times` times from CLIENTS threads. Returns (calls a second, milliseconds of each call)."""
    taken: list[float] = []

    def once(number: int) -> None:
        began = time.perf_counter()
        act(number)
        taken.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(once, range(times)))
    return times / (time.perf_counter() - began), taken


def line(rate: float, taken: list[float]) -> str:
    ordered = sorted(taken)
    p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    return f"{rate:7.0f} a second, p50 {p50:6.1f} ms, p99 {p99:6.1f} ms"


class Clients(threading.local):
    """A connection of its own for every thread."""

    def __init__(self, url: str, token: str) -> None:
        self.api = Client(url, token)


def measure_api(instance: Instance, token: str, project_id: str, times: int) -> None:
    clients = Clients(instance.url, token)
    body = {"projectId": project_id, "title": "Measured", "requiredCapabilities": ["none has this"]}
    show("POST /tasks", line(*timed(lambda number: clients.api.post("/tasks", body, 201), times)))
    show("GET /tasks, 50 rows", line(*timed(lambda number: clients.api.get("/tasks"), times)))
    show("GET /health", line(*timed(lambda number: clients.api.get("/health"), times)))


def measure_feed(instance: Instance, api: Client, project_id: str, sockets: int, events: int) -> None:
    """How long until every one of many subscribers has heard of every task."""
    with contextlib.ExitStack() as stack:
        listeners = [Listener(instance.url, api.token, project_id) for _ in range(2)]
        for listener in listeners:
            stack.callback(listener.close)
        for _ in range(sockets):
            # They only listen: nothing is read, so nothing may wait for being read.
            address = instance.url.replace("http", "ws", 1) + "/ws"
            options: dict[str, Any] = {"max_queue": None, "ping_interval": None, "close_timeout": 0.5}
            socket = stack.enter_context(connect(address, open_timeout=60, **options))
            socket.send(f'{{"event": "auth", "data": {{"token": "{api.token}"}}}}')
            socket.send(f'{{"event": "subscribe", "data": {{"projectId": "{project_id}"}}}}')
        body = {"projectId": project_id, "requiredCapabilities": ["none has this"]}
        delays = []
        for number in range(events):
            began = time.perf_counter()
            task = api.post("/tasks", {**body, "title": f"Heard {number}"}, 201)["task"]
            for listener in listeners:
                listener.wait("the task", lambda event, task=task: event["data"].get("taskId") == task["id"])
            delays.append((time.perf_counter() - began) * 1000)
        show(f"POST to event, {sockets} more sockets listening", f"p50 {statistics.median(delays):6.1f} ms")


def _instance(chosen: argparse.Namespace) -> None:
    """What an instance does over HTTP and WebSocket: start, api, ws."""
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder,
        running(Path(folder), **UNLIMITED) as instance,
    ):
        show("Warm start", f"{time.perf_counter() - began:.1f} s")
        login = Client.login(instance.url, "admin", instance.password)
        api = Client(instance.url, login.api_token())
        project = api.post("/projects", {"name": "Measured"}, 201)["project"]
        if is_wanted(chosen, "api"):
            measure_api(instance, api.token, project["id"], chosen.times)
        if is_wanted(chosen, "ws"):
            measure_feed(instance, api, project["id"], chosen.sockets, 30)


def is_wanted(chosen: argparse.Namespace, *names: str) -> bool:
    return chosen.only is None or chosen.only in names


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=ONLY, help="measure this alone")
    parser.add_argument("--times", type=int, default=400)
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--streams", type=int, default=200)
    chosen = parser.parse_args()
    show("Machine", f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}")
    if is_wanted(chosen, "start", "api", "ws"):
        _instance(chosen)
    if is_wanted(chosen, "gateway"):
        for what, figure in gateway.figures(chosen.streams, rate=100, seconds=10):
            show(what, figure)
    if is_wanted(chosen, "sandbox"):
        for what, figure in sandbox_start.figures(times=40):
            show(what, figure)
    if is_wanted(chosen, "page"):
        for what, figure in page.figures():
            show(what, figure)


if __name__ == "__main__":
    main()
