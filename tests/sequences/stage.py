"""Where random acts happen: the real app and jobs on one database, people of each role, and agents that only talk.

Everything that is decided by chance comes from one `Random`, and each act is noted, so that a seed can be told again.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from common.models import Deployment, Job, Project, Question, Run, Task, TaskGroup
from common.providers.forge import local_forge
from common.services.agents.agents import create_local_enrolment
from common.transaction import snapshot
from common.values.repository import Repository
from common.values.states import Role
from tests import builders
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import git
from tests.workers.platform import Platform
from workers import registry

REFUSED = frozenset({400, 401, 403, 404, 409})
"""What a person or an agent may be told instead of an effect."""


class NothingToDo(Exception):
    """The act has nothing that it could be done to now."""


Act = Callable[["Stage"], None]


@dataclass
class HeldRun:
    """A run that an agent has claimed. client: with the run's own token."""

    client: FlaskClient
    task_id: str
    project_id: str
    branch: str
    has_pushed: bool = False


@dataclass
class ActingAgent:
    """An agent. slots: how many runs it takes. runs: those that it believes to have. is_there: its process lives."""

    agent_id: str
    client: FlaskClient
    slots: int
    runs: dict[str, HeldRun] = field(default_factory=dict)
    is_there: bool = True


class Stage:
    """people: by name. story: what was done, one line an act."""

    def __init__(self, platform: Platform, app: Flask, seed: int) -> None:
        self.platform = platform
        self.app = app
        self.seed = seed
        self.random = Random(seed)
        self.story: list[str] = []
        self.agents: list[ActingAgent] = []
        self._numbers = itertools.count(1)
        self.users = {
            name: builders.a_user(name, role)
            for name, role in (
                ("ada", Role.ADMIN), ("maud", Role.MAINTAINER), ("moe", Role.MAINTAINER), ("mia", Role.MEMBER),
                ("vic", Role.VIEWER),
            )
        }  # fmt: skip
        self.people = {name: builders.client_of(app, user) for name, user in self.users.items()}

    # Chance

    def one(self, candidates: Any) -> Any:
        """One of them; NothingToDo if there is none."""
        among = list(candidates)
        if not among:
            raise NothingToDo
        return self.random.choice(among)

    def some(self, candidates: Any, most: int) -> list[Any]:
        """Up to `most` of them, perhaps none."""
        among = list(candidates)
        return self.random.sample(among, self.random.randint(0, min(most, len(among))))

    def perhaps(self, chance: float) -> bool:
        return self.random.random() < chance

    def number(self) -> int:
        """Another one each time."""
        return next(self._numbers)

    def somebody(self, *names: str) -> str:
        """Usually one of these people, seldom somebody who may not."""
        return self.random.choice(names) if names and self.perhaps(0.92) else self.random.choice(list(self.people))

    # Acting

    def tell(self, line: str) -> None:
        self.story.append(line)

    def ask(self, who: str, method: str, path: str, body: Any = None) -> Any:
        """A person's request. Returns the reply's body; None if it was refused."""
        headers = {"Idempotency-Key": f"key-{self.number()}"} if method == "POST" and self.perhaps(0.15) else {}
        said = self._ask(self.people[who], who, method, path, body, headers)
        if headers:
            again = self._ask(self.people[who], f"{who}, again:", method, path, body, headers)
            assert said is None or again == said, f"{who} {method} {path} was answered {said}, then {again}"
        return said

    def ask_as(self, client: FlaskClient, who: str, method: str, path: str, body: Any = None) -> Any:
        return self._ask(client, who, method, path, body, {})

    def _ask(self, client: FlaskClient, who: str, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        reply = client.open(path, method=method, json=body, headers=headers)
        content = reply.get_json(silent=True)
        if method != "GET":
            said = "" if reply.status_code < 300 else f": {json.dumps(content)[:200]}"
            self.tell(f"{who} {method} {path} {json.dumps(body) if body else ''} -> {reply.status_code}{said}")
        assert reply.status_code < 300 or reply.status_code in REFUSED, (
            f"{who} {method} {path} {body}: {reply.status_code} {content}"
        )
        return content if reply.status_code < 300 else None

    def show(self, who: str, path: str) -> Any:
        """What somebody sees who may see it."""
        reply = self.people[who].get(path)
        assert reply.status_code == 200, f"{who} GET {path}: {reply.status_code} {reply.get_json(silent=True)}"
        return reply.json

    def new_agent(self, slots: int = 1, **about: Any) -> ActingAgent:
        body = {"podName": f"pod-{len(self.agents)}", "capabilities": [], "drivers": ["scripted"], "version": "1.0"}
        enrolment = builders.client_with(self.app, create_local_enrolment())
        reply = enrolment.post("/api/runner/register", json={**body, "slots": slots, **about})
        assert reply.status_code == 201, reply.json
        agent = ActingAgent(reply.json["agent"]["id"], builders.client_with(self.app, reply.json["token"]), slots)
        self.agents.append(agent)
        self.tell(f"agent {agent.agent_id} registers with {slots} slots")
        return agent

    def run_job(self, job: Job) -> None:
        self.tell(f"job {job.kind} of {job.subject_id}")
        registry.registered[job.kind](job.id)

    # Looking

    def all(self, model: type[Any], *conditions: Any) -> list[Any]:
        with snapshot() as read:
            columns = model.__table__.columns
            # Ids of agents and questions are random; the others rise.
            order = [columns.created_at] if "created_at" in columns else [columns.asked_at]
            return list(read.all(select(model).where(*conditions).order_by(*order, columns.id)))

    def tasks(self, *states: str) -> list[Task]:
        return self.all(Task, *([Task.state_.in_(states)] if states else []))

    def groups(self, *states: str) -> list[TaskGroup]:
        return self.all(TaskGroup, *([TaskGroup.state_.in_(states)] if states else []))

    def projects(self) -> list[Project]:
        return self.all(Project)

    def live_runs(self) -> list[Run]:
        return self.all(Run, Run.live_task_id.is_not(None))

    def open_questions(self) -> list[Question]:
        return self.all(Question, Question.state == "pending")

    def deployments(self, *conditions: Any) -> list[Deployment]:
        return self.all(Deployment, *conditions)

    # The repository, as whoever pushes sees it

    def repository_path(self, project: Project) -> Path:
        return local_forge().repository_path(Repository(project.repository_owner, project.slug, project.id))

    def push(self, project: Project, branch: str, files: Mapping[str, str], *, onto: str | None = None) -> str | None:
        """A commit with these files on the branch. Returns its SHA; None if the branch is not there.

        onto: another branch, whose content counts instead of what the branch has.
        """
        path = self.repository_path(project)
        if git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", at=path, accept=(0, 1)) == "":
            return None
        lines = [
            f"commit refs/heads/{branch}", f"committer agent <agent@example.org> {1_700_000_000 + self.number()} +0000",
            "data 6", "Change", f"from refs/heads/{onto or branch}^0",
        ]  # fmt: skip
        lines += [f"merge refs/heads/{branch}^0"] if onto else []
        for name, content in files.items():
            lines += [f"M 100644 inline {name}", f"data {len(content.encode())}", content]
        stream = "\n".join([*lines, "", ""]).encode()
        subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input=stream, check=True, timeout=LONG_WAIT_SECONDS)
        return git("rev-parse", f"refs/heads/{branch}", at=path)
