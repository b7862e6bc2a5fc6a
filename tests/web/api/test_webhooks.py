"""Gitea rings: who may, what it sets going, and that nothing it says is believed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from common.jobs import catalogue
from common.models.journal import Job
from common.models.project import Project, Push
from common.models.task import Task, TaskCheck
from common.providers.forge import webhook_secret
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.states import Phase, ProjectState, TaskState
from tests.web.factories import SHA, a_project, a_task, set_state

PUSH = {"ref": "refs/heads/task-1", "repository": {"full_name": "aiworker/shop"}}


@pytest.fixture
def gitea_app(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("AIWORKER_FORGE", "gitea")
    monkeypatch.setenv("GITEA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GITEA_TOKEN", "a token that nothing knows")
    settings.cache_clear()
    yield plain_app
    settings.cache_clear()


@pytest.fixture
def shop(gitea_app: Flask) -> Project:
    project = a_project("Shop")
    set_state(project, ProjectState.ACTIVE)
    return project


def wake_worker(
    app: Flask, body: Any = PUSH, *, event: str = "push", delivery: str = "d-1", signature: str | None = None
) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = hmac.new(webhook_secret().encode(), raw, hashlib.sha256).hexdigest()
    headers = {
        "X-Gitea-Event": event,
        "X-Gitea-Delivery": delivery,
        "X-Gitea-Signature": signed if signature is None else signature,
        "Content-Type": "application/json",
    }
    return app.test_client().post("/api/webhooks/gitea", data=raw, headers=headers)


def looks() -> int:
    """How often any repository was to be looked at."""
    with snapshot() as read:
        return sum(job.generation for job in read.all(select(Job).where(Job.kind == catalogue.WATCH_REPOSITORY.name)))


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_what_happens_at_the_forge_is_looked_at(gitea_app: Flask, shop: Project, event: str) -> None:
    before = looks()

    assert wake_worker(gitea_app, event=event).status_code == 204
    assert looks() == before + 1


def test_who_pushed_is_believed_of_a_signed_delivery(gitea_app: Flask, shop: Project) -> None:
    ref = {"ref": f"refs/heads/{shop.default_branch}", "before": "0" * 40, "after": SHA, "pusher": {"login": "ada"}}
    for number, wrong in enumerate(({}, {"pusher": None}, {"after": "0" * 40}, {"ref": "refs/tags/v1"}, {"before": 7})):
        assert wake_worker(gitea_app, {**PUSH, **ref, **wrong}, delivery=f"d-{number}").status_code == 204

    with snapshot() as read:
        found = [(row.branch, row.old_sha, row.new_sha, row.username) for row in read.all(select(Push))]
    assert found == [("main", None, SHA, "ada")]


def test_a_replayed_delivery_is_ignored(gitea_app: Flask, shop: Project) -> None:
    before = looks()

    for delivery in ("d-1", "d-1", "d-2", "d-1"):
        assert wake_worker(gitea_app, delivery=delivery).status_code == 204

    assert looks() == before + 2


@pytest.mark.parametrize("signature", ["", "0" * 64])
def test_a_wrong_signature_is_refused(gitea_app: Flask, shop: Project, signature: str) -> None:
    before = looks()

    assert wake_worker(gitea_app, signature=signature).status_code == 401
    assert looks() == before


@pytest.mark.parametrize(
    "body",
    [
        {"repository": {"full_name": "someone/shop"}},
        {"repository": None},
        b"nonsense",
    ],
)
def test_a_foreign_repository_is_ignored(gitea_app: Flask, shop: Project, body: Any) -> None:
    before = looks()

    assert wake_worker(gitea_app, body).status_code == 204
    assert looks() == before


def test_a_status_has_proofs_look_and_not_the_repository(gitea_app: Flask, shop: Project) -> None:
    before = looks()
    task = a_task(shop)
    set_state(task, TaskState.IN_PROGRESS, phase_=Phase.VERIFYING.value)
    run_id = _awaits_statuses(task)

    assert wake_worker(gitea_app, event="status").status_code == 204

    with snapshot() as read:
        rung = [job.subject_id for job in read.all(select(Job).where(Job.kind == catalogue.VERIFY_RUN.name))]
    assert (rung, looks()) == ([run_id], before)


@transactional
def _awaits_statuses(tx: Transaction, task: Task) -> str:
    run_id = new_id()
    tx.add(TaskCheck(task_id=task.id, run_id=run_id, name="statuses", status="running", at=tx.now()))
    return run_id


def test_the_local_forge_has_no_webhooks(plain_app: Flask) -> None:
    assert wake_worker(plain_app).status_code == 404
