"""Doing a job twice is doing it once: every kind of the catalogue, doubled, and cut off between act and record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.errors import ProviderRefused
from common.jobs.catalogue import (
    CATALOGUE,
    RELEASE_RUN,
    RESTORE_RUNTIME,
    RUN_AGENT,
    SWEEP_AGENTS,
    TAKE_DOWN,
    WATCH_REPOSITORY,
)
from common.models import Deployment, Job, Project, Receipt, Run, Task, WebhookDelivery
from common.providers.forge import local_forge
from common.providers.runtime import runtime
from common.services.outgoing_webhook import collecting, webhook_settings
from common.services.projects import projects
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.delivery.pull_request import PullState
from common.values.names import RECEIPTS_REF
from common.values.states import JobState
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.providers.git_work_tree import git
from tests.providers.runtime_supervisor import get
from tests.web.factories import somebody
from tests.workers.platform import Platform
from workers import registry


@pytest.fixture
def receiver(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as started:
        monkeypatch.setenv("AIWORKER_OUTGOING_ALLOW", started.host)
        settings.cache_clear()
        yield started
    settings.cache_clear()


@transactional
def _again(tx: Transaction, kind: str, subject_id: str, project_id: str | None) -> str:
    return tx.enqueue(CATALOGUE[kind], subject_id, project_id=project_id)


def _walk(platform: Platform, receiver: WebhookReceiver) -> None:
    """A story in which every kind of job has something to do; what must be there once is counted."""
    webhook_settings.update_webhook({"url": receiver.url}, by=somebody())
    project = platform.project(test_command="python3 -c 0 && test -f index.html", coverage="run")
    repository = platform.repository(project.id)
    delivered = platform.approved(project, "Delivered", {"index.html": "<h1>out</h1>\n"})
    waiting = platform.ready(project, "Waiting", {"other.html": "<h1>other</h1>\n"})
    group = platform.to_production(platform.staged(delivered))
    assert group.state == "production"
    (receipt,) = platform.all(Receipt)
    collecting.collect_notices()
    platform.run_jobs()
    assert len({one.headers["webhook-id"] for one in receiver.received}) == len(platform.all(WebhookDelivery)) == 4

    preview = platform.all(Deployment, Deployment.task_id == waiting.id)[0]
    _again(TAKE_DOWN.name, preview.id, project.id)
    projects.update_project(project.id, {"allow_direct_push": True}, by=platform.max)
    platform.run_jobs()
    assert platform.get(Task, waiting.id).preview_url is None

    tree = platform.clone(project)
    tree.commit({"late": "x"}, on=waiting.branch_name, start=f"origin/{waiting.branch_name}")
    tree.push(waiting.branch_name)
    _again(WATCH_REPOSITORY.name, project.id, project.id)
    platform.run_jobs()
    assert (platform.get(Task, waiting.id).state, platform.get(Task, waiting.id).round) == ("in_progress", 2)

    _again(RELEASE_RUN.name, platform.all(Run, Run.task_id == waiting.id)[0].id, project.id)
    _again(RESTORE_RUNTIME.name, "platform", None)
    platform.run_jobs()
    live = platform.all(Deployment, Deployment.live_key.is_not(None), Deployment.project_id == project.id)
    assert sorted(row.environment_ for row in live) == ["production", "staging"]
    assert all(get(row.url)[1] == "<h1>out</h1>\n" for row in live)

    note = git("notes", f"--ref={RECEIPTS_REF}", "show", group.tested_sha, at=local_forge().repository_path(repository))
    assert note == receipt.envelope
    pulls = [local_forge().read_pull_request(repository, number) for number in (1, 2, 3)]
    assert [pull and pull.state for pull in pulls] == [PullState.MERGED, PullState.OPEN, None]
    count = platform.clone(project)
    assert count.path.joinpath("index.html").read_text() == "<h1>out</h1>\n"

    projects.delete_project(project.id, by=platform.max)
    platform.run_jobs()
    assert platform.all(Project) == []
    assert runtime().list_apps() == []
    with pytest.raises(ProviderRefused, match="there is no repository"):
        local_forge().repository_path(repository)
    assert platform.all(Job, Job.state_.in_([JobState.QUEUED, JobState.RUNNING])) == []


FLEET = {RUN_AGENT.name, SWEEP_AGENTS.name}
"""Kinds that only a cluster has; test_fleet does the same to them."""


def _wrap(monkeypatch: pytest.MonkeyPatch, around: Callable[[str, Callable[[str], None], str], None]) -> None:
    for kind, run in list(registry.registered.items()):
        monkeypatch.setitem(registry.registered, kind, lambda job_id, kind=kind, run=run: around(kind, run, job_id))


@pytest.mark.slow
def test_every_job_of_the_catalogue_is_registered() -> None:
    assert set(registry.registered) == set(CATALOGUE)


def test_every_job_may_run_twice(
    platform: Platform, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubled: Counter[str] = Counter()

    def twice(kind: str, run: Callable[[str], None], job_id: str) -> None:
        run(job_id)
        job = platform.get(Job, job_id)
        if job.state == JobState.DONE:
            doubled[kind] += 1
            run(_again(kind, job.subject_id, job.project_id))

    _wrap(monkeypatch, twice)
    _walk(platform, receiver)
    assert set(doubled) == set(CATALOGUE) - FLEET


@pytest.mark.slow
def test_every_job_survives_dying_between_act_and_record(
    platform: Platform, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first record of each job is lost, as if its worker had been killed right before it."""
    cut: Counter[str] = Counter()
    spared: set[str] = set()

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def record(tx: Transaction, lease: Any, **arguments: Any) -> Any:
            if (lease.job_id, method.__name__) not in spared:
                spared.add((lease.job_id, method.__name__))
                cut[lease.kind] += 1
                raise RuntimeError("killed between act and record")
            return method(tx, lease, **arguments)

        return record

    monkeypatch.setattr(Transaction, "finish", dying(Transaction.finish))
    monkeypatch.setattr(Transaction, "again", dying(Transaction.again))
    _walk(platform, receiver)
    assert set(cut) == set(CATALOGUE) - FLEET
