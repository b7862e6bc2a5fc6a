"""Measures how soon an agent has a task on an idle platform.

The agent is a client that claims runs and does no work: a person cancels each task as soon as it has it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from tests.bench.figures import Figure, Found
from tests.e2e.client import Client
from tests.e2e.instance import Instance, wait_until

LONG_WAIT_SECONDS = 60


class Agent:
    """A registered agent. Each method is one request."""

    def __init__(self, people: Client) -> None:
        enrolment = people.post("/agents/enrolment-tokens", {}, 201)["enrolmentToken"]["token"]
        about = {"podName": "measuring", "capabilities": [], "driver": "scripted", "version": "1", "slots": 1}
        registered = Client(people.url, enrolment).post("/runner/register", about, 201)
        self.id: str = registered["agent"]["id"]
        self._url, self._session = people.url, requests.Session()
        self._session.headers["Authorization"] = f"Bearer {registered['token']}"
        self.live()

    def live(self) -> None:
        url = f"{self._url}/api/runner/heartbeat"
        self._session.post(url, json={"runIds": []}, timeout=LONG_WAIT_SECONDS).raise_for_status()

    def claim(self) -> tuple[Any, float]:
        """Wait for a run. Returns the claim, None if there was none, and when it came (perf_counter)."""
        reply = self._session.post(f"{self._url}/api/runner/claim?wait=5", json={}, timeout=LONG_WAIT_SECONDS)
        at = time.perf_counter()
        reply.raise_for_status()
        return reply.json() if reply.status_code == 200 else None, at

    def close(self) -> None:
        self._session.close()


def _new_task(people: Client, project_id: str) -> str:
    body = {"projectId": project_id, "title": "Measured", "driver": "scripted"}
    return str(people.post("/tasks", body, 201)["task"]["id"])


def _on_an_idle_platform(people: Client, project_id: str, agent: Agent, times: int) -> list[float]:
    """Milliseconds from sending a new task until the agent, which waits for one, has it."""
    took = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(times + 1):
            agent.live()
            wait_until("the agent to be idle", lambda: _is_idle(people, agent))
            waiting = pool.submit(agent.claim)
            time.sleep(0.5)  # it is on its way, and the platform has nothing left to do
            began = time.perf_counter()
            task_id = _new_task(people, project_id)
            claimed, at = waiting.result(LONG_WAIT_SECONDS)
            assert claimed["task"]["id"] == task_id
            took.append((at - began) * 1000)
            people.post(f"/tasks/{task_id}/cancel")
    return took[1:]


def _is_idle(people: Client, agent: Agent) -> bool:
    return bool(people.get(f"/agents/{agent.id}")["agent"]["status"] == "idle")


def figures(times: int = 5) -> Iterator[Found]:
    """Each figure with its name. times: rounds of eight tasks on the idle platform."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
        instance = Instance(Path(folder), AIWORKER_AGENTS="0", AIWORKER_WRITES_PER_MINUTE="100000000")
        try:
            instance.start()
            people = Client.login(instance.url, "admin", instance.password)
            project_id = people.post("/projects", {"name": "Measured"}, 201)["project"]["id"]
            wait_until("the project", lambda: people.get(f"/projects/{project_id}")["project"]["status"] == "active")
            agent = Agent(people)
            idle = _on_an_idle_platform(people, project_id, agent, 8 * times)
            yield Figure(
                "Task created → agent has it, idle platform", idle, "ms", goal="≤ 30", note=f"most {max(idle):.0f} ms"
            )
            agent.close()
            people.close()
            instance.stop()
        finally:
            instance.kill()
