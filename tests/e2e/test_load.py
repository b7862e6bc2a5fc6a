"""Many clients write at once: nothing is lost, doubled, out of order or answered with an error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.client import Client, Listener
from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.instance import running, wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

CLIENTS = 8
TASKS = 400
PROJECTS = 2


class _Writer:
    """One client with a connection of its own."""

    def __init__(self, url: str, token: str, project_ids: list[str]) -> None:
        self._client = Client(url, token)
        self._project_ids = project_ids

    def write(self, numbers: range, start: threading.Barrier) -> list[str]:
        start.wait(PATIENCE_SECONDS)
        try:
            return [self._one(number) for number in numbers]
        finally:
            self._client.close()

    def _one(self, number: int) -> str:
        body: dict[str, Any] = {
            "projectId": self._project_ids[number % PROJECTS],
            "title": f"Task {number}",
            "requiredCapabilities": ["nobody-has-this"],
        }
        return str(self._client.post("/tasks", body, 201)["task"]["id"])


def _created(listener: Listener) -> list[str]:
    """The tasks that it heard of, in order."""
    return [event["data"]["taskId"] for event in list(listener.events) if event["event"] == "task:created"]


def test_eight_clients_create_four_hundred_tasks_at_once(tmp_path: Path) -> None:
    with running(tmp_path, AIWORKER_AGENTS="0") as instance:
        api = Client.login(instance.url, "admin", instance.password)
        ids = [api.post("/projects", {"name": f"Load {n}"}, 201)["project"]["id"] for n in range(PROJECTS)]
        wait_until("the projects", lambda: all(api.get(f"/projects/{i}")["project"]["status"] == "active" for i in ids))
        listeners = [Listener(instance.url, api.token, project_id) for project_id in ids]
        start = threading.Barrier(CLIENTS)
        with ThreadPoolExecutor(CLIENTS) as pool:
            writing = [
                pool.submit(_Writer(instance.url, api.token, ids).write, range(n, TASKS, CLIENTS), start)
                for n in range(CLIENTS)
            ]
            made = [task_id for one in writing for task_id in one.result(PATIENCE_SECONDS)]

        assert len(set(made)) == TASKS
        assert api.get("/tasks")["total"] == TASKS
        heard: list[str] = []
        for project_id, listener in zip(ids, listeners, strict=True):
            wait_until(
                f"every task of project {project_id} to be heard of",
                lambda heard_by=listener: len(_created(heard_by)) >= TASKS // PROJECTS,  # type: ignore[misc]
            )
            durable = [event for event in listener.events if "seq" in event]
            assert [event["seq"] for event in durable] == list(range(1, len(durable) + 1))
            heard += _created(listener)
            listener.close()
        assert sorted(heard) == sorted(made)
        with requests.Session() as session:
            agent = FakeAgent(Caller(session, instance.url, api.token), tmp_path)
            needs = {"projectId": ids[0], "title": "Last", "requiredCapabilities": [agent.capability]}
            last_task = api.post("/tasks", needs, 201)["task"]["id"]
            # Four hundred older ones that no agent can take must not keep it waiting.
            assert agent.claim().claim["task"]["id"] == last_task
        api.close()
