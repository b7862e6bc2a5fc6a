"""An instance with a restricted project that holds one of everything, and somebody of each kind who calls."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.models import Job, Project, Receipt, Run, Task
from common.models.account import ApiToken
from common.secrets.sealing import digest, new_token
from common.services.agents import agents
from common.services.people import login_tokens, tokens
from common.services.projects import projects
from common.transaction import Transaction, transactional
from common.values.names import new_id
from common.values.states import Environment, Role
from tests import builders
from tests.attacks.access import AGENT, ENROLMENT, RUN, Principal
from tests.web import factories
from tests.web.conftest import made_apps
from tests.web.world import World, put


class House(World):
    """A restricted project with one of everything, another project, and somebody of each kind."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.secret = self.project("Acquisition")
        self.open = self.project("Open")
        self.ids = self._one_of_each()
        # Not before: max, who makes it all, is no member.
        assert self._as_admin.patch(f"/api/projects/{self.secret.id}", json={"restricted": True}).status_code == 200
        self.principals = [*_nobodies(), *self._people(), *self._programs()]

    def _one_of_each(self) -> dict[str, str]:
        task = factories.a_task(self.secret, title="Secret plan")
        question = factories.a_question(task)
        proposal = factories.a_proposal(task)
        grouped = self.task(self.secret, state="approved")
        group = self._as_admin.post(
            "/api/task-groups", json={"projectId": self.secret.id, "taskIds": [grouped.id], "targetBranch": "staging"}
        ).json["taskGroup"]
        run = factories.a_live_run(self._under_way(self.secret))
        somebody = builders.a_user("somebody")
        attached = self._as_admin.post(f"/api/tasks/{task.id}/attachments?name=secret.txt", data=b"Secret plan")
        return {
            "project_id": self.secret.id, "task_id": task.id, "question_id": question.id, "group_id": group["id"],
            "proposal_id": proposal.id, "test_id": factories.a_group_test(group["id"]).id,
            "deployment_id": self.deployment(self.secret, Environment.STAGING), "run_id": run.id,
            "job_id": _a_job(self.secret.id), "user_id": somebody.id, "agent_id": "agent-00000000abcd",
            "token_id": new_id(), "owner": self.secret.repository_owner, "name": self.secret.slug, "number": "1",
            "service_path": "info/refs", "attachment_id": attached.json["attachment"]["id"], "provider_id": new_id(),
            "picture_id": factories.a_picture(task).id,
            "delivery_id": new_id(), "sha": _a_receipt(self.secret.id),
            "comment_id": new_id(),
            "session_id": new_id(),
        }  # fmt: skip

    def _under_way(self, project: Project) -> Task:
        task = self.task(project, "Under way")
        put(Task, task.id, state_="in_progress", phase_="working")
        return task

    @property
    def _as_admin(self) -> FlaskClient:
        return self.client_of(f"admin-{new_id()[-6:]}", Role.ADMIN)

    def _people(self) -> Iterator[Principal]:
        root = builders.caller_of(builders.a_user("root", Role.ADMIN))
        for role in (Role.VIEWER, Role.MEMBER, Role.MAINTAINER):
            outsider, member = (
                builders.a_user(f"outside-{role.label}", role),
                builders.a_user(role.label, Role.MAINTAINER),
            )
            projects.put_member(self.secret.id, member.id, role, by=root)
            yield _with(builders.a_token(outsider), f"{role.label} who is no member", "person", role)
            yield _with(builders.a_token(member), f"member as {role.label}", "person", Role.MAINTAINER, role)
        scoped = builders.a_token(member, role=Role.VIEWER)
        yield _with(scoped, "a maintainer's viewer token", "person", Role.VIEWER, Role.VIEWER)
        yield _with(
            builders.a_token(builders.a_user("boss", Role.ADMIN)), "administrator", "person", Role.ADMIN, Role.ADMIN
        )
        yield from self._ended(member)

    def _ended(self, owner: Any) -> Iterator[Principal]:
        """Tokens of a maintainer that were good once."""
        by = builders.caller_of(owner)
        expired, revoked = (
            tokens.create_api_token(by=by, name="expired"),
            tokens.create_api_token(by=by, name="revoked"),
        )
        put(ApiToken, expired.row.id, expires_at=expired.row.created_at - timedelta(seconds=1))
        tokens.delete_api_token(revoked.row.id, by=by)
        yield _with(expired.token, "expired token")
        yield _with(revoked.token, "revoked token")
        forged = {"sub": owner.id, "sid": new_id(), "epoch": 0, "type": "access", "jti": new_id()}
        times = {"exp": 2**33, "iat": 1, "nbf": 1, "aud": login_tokens.AUDIENCE, "iss": login_tokens.ISSUER}
        yield _with(jwt.encode({**forged, **times}, None, algorithm="none"), "token without a signature")
        yield _with(jwt.encode({**forged, **times}, "k" * 32, algorithm="HS256"), "token of another key")

    def _programs(self) -> Iterator[Principal]:
        enrolment = agents.create_local_enrolment()
        yield _with(enrolment, "enrolment", ENROLMENT)
        register = builders.client_with(self.app, enrolment).post
        body = {"podName": "pod", "capabilities": [], "driver": "scripted", "version": "1.0", "slots": 1}
        yield _with(register("/api/runner/register", json=body).json["token"], "agent", AGENT)
        own, other = _token_of(self.ids["run_id"]), _token_of(factories.a_live_run(self._under_way(self.open)).id)
        yield _with(own, "the run's own", RUN, is_own_run=True)
        yield _with(other, "another run", RUN)


def _with(
    token: str,
    name: str,
    kind: str = "nobody",
    role: Role | None = None,
    in_project: Role | None = None,
    *,
    is_own_run: bool = False,
) -> Principal:
    return Principal(name, kind, role, in_project, is_own_run, {"Authorization": f"Bearer {token}"})


def _nobodies() -> Iterator[Principal]:
    yield Principal("nobody")
    yield _with("nonsense", "a word as a token")
    basic = base64.b64encode(f"maxim:{builders.PASSWORD}".encode()).decode()
    yield Principal("a password instead of a token", headers={"Authorization": f"Basic {basic}"})


@transactional
def _a_receipt(tx: Transaction, project_id: str) -> str:
    """The commit that it is of."""
    return tx.add(
        Receipt(
            project_id=project_id,
            number=1,
            kind="delivery",
            commit_sha="e" * 40,
            deployment_id=new_id(),
            envelope="Acquisition",
            digest="d" * 64,
            at=tx.now(),
        )
    ).commit_sha


@transactional
def _a_job(tx: Transaction, project_id: str) -> str:
    """One that was parked."""
    return tx.add(
        Job(
            kind="project.provision", subject_id=project_id, project_id=project_id, live_key=None, state_="failed",
            next_at=tx.now(), created_at=tx.now(), error="refused",
        )
    ).id  # fmt: skip


def _token_of(run_id: str) -> str:
    token = new_token("awr")
    put(Run, run_id, token_digest=digest(token))
    return token


@contextlib.contextmanager
def house_in(folder: Path, sqlite_template: Path, redis_url: str) -> Iterator[House]:
    """Made once for many tests: none of them may need what another changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIWORKER_WRITES_PER_MINUTE", "100000")
        database = folder / "aiworker.db"
        database.write_bytes(sqlite_template.read_bytes())
        with made_apps(folder, redis_url, patch) as make:
            yield House(make(f"sqlite:///{database}"))
