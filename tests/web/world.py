"""An instance with projects, tasks, agents and versions in whatever state a test of the API starts from.

People and agents act by services; rows that only long work by jobs would bring about are put there as it would.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from common.jobs.catalogue import PREPARE_RUN, SCHEDULE_TASKS, Kind
from common.models import Deployment, EventRow, Job, Project, Task, TaskGroup, User
from common.models.base import Base
from common.providers.forge import forge, local_forge
from common.providers.runtime import runtime
from common.services.agents import agents
from common.services.deployment import deployments
from common.services.projects import projects
from common.services.requests.access import Caller, acting
from common.services.tasks import task_counts, tasks
from common.services.tasks.tasks import NewTask
from common.transaction import Transaction, snapshot, transactional
from common.values.repository import Repository
from common.values.states import By, Environment, ProjectState, Role
from tests import builders
from tests.long_waits import LONG_WAIT_SECONDS
from tests.servers import ROOT
from workers.registry import registered

SHA = "a" * 40


def put(model: type[Base], row_id: str, /, **values: Any) -> None:
    """The row has these values, whatever led to them."""
    _put(model, row_id, values)
    if model is Task:
        # No event tells of it, so tasks are counted anew.
        task_counts._counted.clear()


@transactional
def _put(tx: Transaction, model: Any, row_id: str, values: dict[str, Any]) -> None:
    changed: Any = tx.session.execute(update(model).where(model.id == row_id).values(**values))
    assert changed.rowcount == 1, f"there is no {model.__name__} {row_id}"


def all_of(model: type[Any], *conditions: Any) -> list[Any]:
    with snapshot() as read:
        return list(read.all(select(model).where(*conditions)))


def get(model: type[Any], row_id: str) -> Any:
    with snapshot() as read:
        return read.get(model, row_id)


def events(name: str, **about: str) -> list[EventRow]:
    """Events of this name that mention all of these words, in order of their sequence."""
    found = all_of(EventRow, EventRow.name == name)
    return sorted((row for row in found if all(word in row.data for word in about.values())), key=lambda row: row.seq)


def run_jobs(*kinds: Kind) -> None:
    """Run what is due of these kinds, in this order, as a worker would."""
    for kind in kinds:
        for job in all_of(Job, Job.kind == kind.name, Job.state_ == "queued"):
            registered[kind.name](job.id)


def forget_providers() -> None:
    """The next forge and runtime are those of the settings of then."""
    for cached in (local_forge, runtime):
        cached.cache_clear()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls from a thread each, once all threads are there; what they return, in the same order."""
    barrier = threading.Barrier(len(calls))

    def start(call: Callable[[], Any]) -> Any:
        barrier.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


class World:
    """max, a maintainer, does what is not under test; `client` calls in his name."""

    def __init__(self, app: Flask) -> None:
        forget_providers()
        self.app = app
        self.max: Caller = builders.caller_of(builders.a_user("maxim", Role.MAINTAINER))
        self.users: dict[str, User] = {}
        self.client = self.client_of(self.max.username, Role.MAINTAINER, self.max)

    def app_client(self) -> FlaskClient:
        """Another client in max's name: one is not for several threads."""
        return builders.client_with(self.app, self.client.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))

    def client_of(self, name: str, role: Role, caller: Caller | None = None) -> FlaskClient:
        user = builders.a_user(name, role) if caller is None else get(User, caller.user_id)
        self.users[name] = user
        return builders.client_of(self.app, user)

    def project(self, name: str = "Demo", *, has_repository: bool = False, **values: Any) -> Project:
        """An active one. Its repository holds one commit, if it is to have one."""
        with acting(self.max.name):
            made = projects.create_project({"name": name, **values}, by=self.max).project
        if has_repository:
            forge().ensure_repository(
                repository_of(made), default_branch=made.default_branch, description="", import_url=None
            )
        _activate(made.id)
        active: Project = get(Project, made.id)
        return active

    def task(self, project: Project, title: str = "Greet", *, state: str = "backlog", **values: Any) -> Task:
        with acting(self.max.name):
            made = tasks.create_task(NewTask(project.id, title, **values), by=self.max)
        if state != "backlog":
            approved = {"approved_sha": SHA, "approved_by": "max"} if state in {"approved", "staging"} else {}
            put(Task, made.id, state_=state, head_sha=SHA, **approved)
        task: Task = get(Task, made.id)
        return task

    def approved(self, project: Project, *titles: str) -> list[str]:
        return [self.task(project, title, state="approved").id for title in titles or ["Greet"]]

    def group(self, project: Project, task_ids: list[str], **values: Any) -> dict[str, Any]:
        """As the API makes it."""
        body = {"projectId": project.id, "taskIds": task_ids, **values}
        reply = self.client.post("/api/task-groups", json=body)
        assert reply.status_code == 201, reply.json
        group: dict[str, Any] = reply.json["taskGroup"]
        return group

    def post_group(self, group_id: str, verb: str, **body: Any) -> Any:
        """The reply to a verb of the group, such as `retry`."""
        return self.client.post(f"/api/task-groups/{group_id}/{verb}", json=body)

    def staged(self, project: Project, *, base_sha: str) -> str:
        """The id of a group that runs on staging, built from base_sha."""
        task_ids = self.approved(project)
        group_id: str = self.group(project, task_ids)["id"]
        put(TaskGroup, group_id, state_="staging", base_sha=base_sha, head_sha=SHA, tested_sha=SHA)
        put(Task, task_ids[0], state_="staging")
        self.deployment(project, Environment.STAGING, commit_sha=SHA, task_group_id=group_id)
        return group_id

    def deployment(
        self,
        project: Project,
        environment: Environment,
        *,
        state: str = "completed",
        is_live: bool = True,
        commit_sha: str = SHA,
        **values: Any,
    ) -> str:
        """The id of one that was once healthy, unless it is said to have failed."""
        made = _deployment(project.id, environment, commit_sha, values)
        place = f"{project.id}:{environment.value}"
        put(
            Deployment, made, state_=state, active_key=None, live_key=place if is_live else None,
            was_healthy=state != "failed",
        )  # fmt: skip
        return made

    def agent(self, **values: Any) -> tuple[FlaskClient, str]:
        """An idle agent: its client and its id."""
        enrolment = builders.client_with(self.app, agents.create_local_enrolment())
        body = {"podName": "pod-1", "capabilities": [], "driver": "scripted", "version": "1.0", "slots": 1, **values}
        reply = enrolment.post("/api/runner/register", json=body)
        assert reply.status_code == 201, reply.json
        client = builders.client_with(self.app, reply.json["token"])
        assert client.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 200
        return client, reply.json["agent"]["id"]

    def claim(self, agent: FlaskClient) -> tuple[FlaskClient, dict[str, Any]]:
        """What the scheduler gives the agent next: the run's own client, and the claim."""
        run_jobs(SCHEDULE_TASKS, PREPARE_RUN)
        reply = agent.post("/api/runner/claim", json={})
        assert reply.status_code == 200, reply.json
        claim: dict[str, Any] = reply.json
        return builders.client_with(self.app, claim["run"]["token"]), claim

    def claim_nothing(self, agent: FlaskClient) -> None:
        """The scheduler has no run for the agent."""
        run_jobs(SCHEDULE_TASKS, PREPARE_RUN)
        assert agent.post("/api/runner/claim", json={}).status_code == 204


def repository_of(project: Project) -> Repository:
    return Repository(project.repository_owner, project.slug, project.id)


def head_of(project: Project) -> str:
    head = forge().read_head(repository_of(project), project.default_branch)
    assert head is not None
    return head


@transactional
def _activate(tx: Transaction, project_id: str) -> None:
    tx.lock(Project, project_id).move_to(ProjectState.ACTIVE, By.PLATFORM)


@transactional
def _deployment(
    tx: Transaction, project_id: str, environment: Environment, commit_sha: str, values: dict[str, Any]
) -> str:
    project = tx.get(Project, project_id)
    spec = deployments.seal_spec(deployments.spec_of(project, environment))
    return deployments.new_deployment(
        tx, project, environment, commit_sha=commit_sha, branch="main", app_name=environment.value, spec_sealed=spec,
        **values,
    ).id  # fmt: skip


@contextlib.contextmanager
def served(log: IO[bytes] | None = None, *, app: str = "web.app") -> Iterator[str]:
    """This test's instance behind a real server that answers; the address. It inherits its socket: no port is lost to
    others. log: gets what the server writes. app: the module with `create_app`.
    """
    command = [sys.executable, "-m", "gunicorn", "--config", "web/gunicorn.conf.py", f"{app}:create_app()"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        server = subprocess.Popen(
            [*command, "--bind", f"fd://{descriptor}"], cwd=ROOT, pass_fds=[descriptor], stdin=subprocess.DEVNULL,
            stdout=log or subprocess.DEVNULL, stderr=log or subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": ""},
        )  # fmt: skip
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    try:
        # A machine that is busy enough takes longer to load it than a client waits.
        requests.get(f"{address}/api/health/live", timeout=LONG_WAIT_SECONDS).raise_for_status()
        yield address
    finally:
        server.kill()
        server.wait()
