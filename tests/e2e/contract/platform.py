"""One running instance with nobody's agent in it, and the shortest ways to the state that a test needs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.instance import Instance
from tests.long_waits import LONG_WAIT_SECONDS

Json = Any
PASSWORD = "correct horse battery"
NO_WAITING = {"preview": 0, "staging": 0, "production": 0}
_numbers = itertools.count(1)


def eventually(what: str, look: Callable[[], Json], seconds: float = LONG_WAIT_SECONDS) -> Json:
    """What `look` returns, as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)
    return found


class Platform:
    """url: where it answers. admin: a caller with everything."""

    def __init__(self, instance: Instance, session: requests.Session, folder: Path, import_url: str) -> None:
        self.url = instance.url
        self.password = instance.password
        self.folder = folder
        self.import_url = import_url
        self.anybody = Caller(session, self.url, None)
        self.admin = self.login("admin", self.password)
        # A login's own token is good for a quarter of an hour, and all tests use this one.
        made = self.admin.post("/tokens", {"name": "tests", "role": "admin"}, 201)["token"]
        user, self.admin = self.admin.user, self.anybody.bearing(made["token"])
        self.admin.user = user
        self._roles: dict[str, Caller] = {"admin": self.admin}
        self._project: Json = None

    def login(self, username: str, password: str = PASSWORD) -> Caller:
        reply = self.anybody.post("/auth/login", {"username": username, "password": password})
        caller = self.anybody.bearing(reply["accessToken"])
        caller.user = reply["user"]
        return caller

    def new_user(self, role: str) -> Caller:
        username = f"{role}-{next(_numbers)}"
        self.admin.post("/users", {"username": username, "password": PASSWORD, "role": role}, 201)
        return self.login(username)

    def as_a(self, role: str) -> Caller:
        """A caller with the role, the same one each time."""
        if role not in self._roles:
            self._roles[role] = self.new_user(role)
        return self._roles[role]

    def name(self, what: str = "Contract") -> str:
        return f"{what} {next(_numbers)}"

    def new_project(self, **fields: Json) -> Json:
        """A project that is active."""
        made = self.admin.post(
            "/projects", {"name": self.name(), "healthSeconds": NO_WAITING, **fields}, 201
        )["project"]  # fmt: skip
        return self.wait_project(made["id"], "active")

    def wait_project(self, project_id: str, status: str) -> Json:
        def look() -> Json:
            project = self.admin.get(f"/projects/{project_id}")["project"]
            assert project["status"] != "failed" or status == "failed", project
            return project if project["status"] == status else None

        return eventually(f"the project to be {status}", look)

    def project(self) -> Json:
        """An active project that tests share: they may add to it and change nothing of it."""
        if self._project is None:
            self._project = self.new_project(name="Shared by all")
        return self._project

    def deployable(self, **fields: Json) -> Json:
        """A project with a page that greets and a test."""
        return self.new_project(importUrl=self.import_url, testCommand="python3 -m unittest -q", **fields)

    def agent(self, **more: Json) -> FakeAgent:
        return FakeAgent(self.admin, self.folder, **more)

    def new_task(self, project: Json, agent: FakeAgent | None = None, by: Caller | None = None, **fields: Json) -> Json:
        """A task that only this agent takes; without an agent, one that nobody takes."""
        needs = [agent.capability if agent else "nobody-has-this"]
        body = {"projectId": project["id"], "title": "Do it", "requiredCapabilities": needs, **fields}
        return (by or self.admin).post("/tasks", body, 201)["task"]

    def task(self, task_id: str) -> Json:
        return self.admin.get(f"/tasks/{task_id}")["task"]

    def wait_task(self, task_id: str, state: str) -> Json:
        def look() -> Json:
            task = self.task(task_id)
            return task if task["state"] == state else None

        return eventually(f"the task to be {state}", look)

    def picture_at(self, task_path: str) -> str:
        """The path of a picture of the task's preview, once there is one."""
        found = eventually("a picture of the preview", lambda: self.admin.get(task_path)["task"]["pictures"])
        return f"{task_path}/pictures/{found[-1]['id']}"

    def ready_task(self, project: Json, agent: FakeAgent, files: dict[str, str], **fields: Json) -> Json:
        """A task whose commit is proven."""
        task = self.new_task(project, agent, **fields)
        run = agent.claim()
        assert run.claim["task"]["id"] == task["id"], run.claim
        run.complete(files)
        return self.wait_task(task["id"], "ready_to_test")

    def approved_task(self, project: Json, agent: FakeAgent, files: dict[str, str], **fields: Json) -> Json:
        ready = self.ready_task(project, agent, files, **fields)
        return self.admin.post(f"/tasks/{ready['id']}/approve")["task"]

    def new_group(self, project: Json, *tasks: Json, **fields: Json) -> Json:
        body = {"projectId": project["id"], "taskIds": [task["id"] for task in tasks], **fields}
        return self.admin.post("/task-groups", body, 201)["taskGroup"]

    def wait_group(self, group_id: str, *statuses: str) -> Json:
        def look() -> Json:
            group = self.admin.get(f"/task-groups/{group_id}")["taskGroup"]
            ended = {"failed", "conflict", "cancelled"} - set(statuses)
            assert group["status"] not in ended, group
            return group if group["status"] in statuses else None

        return eventually(f"the group to be {statuses}", look)

    def deploy(self, group_id: str, environment: str) -> Json:
        """The live deployment that the group then has in the environment."""
        self.admin.post(f"/task-groups/{group_id}/deploy-{environment}", status=202)
        group = self.wait_group(group_id, environment)
        rows = self.admin.get(
            "/deployments", projectId=group["projectId"], environment=environment, status="completed"
        )["deployments"]  # fmt: skip
        assert rows[0]["taskGroupId"] == group_id, rows
        return rows[0]
