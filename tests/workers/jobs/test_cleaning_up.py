"""What a task leaves at the forge and in the runtime when it is over, also if the forge refuses or is in between."""

from __future__ import annotations

import json

import pytest

from common.jobs.catalogue import CLEAN_UP_TASK, CLOSE_RUN, PREPARE_RUN, Lease
from common.models import Job, Task
from common.providers.forge import local_forge
from common.services.runs import preparation
from common.services.tasks import tasks
from common.transaction import Transaction, transactional
from common.values.delivery.pull_request import PullState
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@transactional
def _begun_job(tx: Transaction, job_id: str) -> Lease:
    lease = tx.queue.claim(job_id)
    assert lease is not None
    return lease


def _cleaning(platform: Platform) -> Job:
    (job,) = platform.all(Job, Job.kind == CLEAN_UP_TASK.name)
    return job


def _given_again(platform: Platform, task: Task) -> None:
    """The task's pull request has become another branch's, as after the forge was restored from a backup."""
    path = local_forge().repository_path(platform.repository(task.project_id)) / "aiworker" / "pulls.json"
    record = json.loads(path.read_text())
    record["pulls"][str(platform.get(Task, task.id).pr_number)]["head"] = "other"
    path.write_text(json.dumps(record))


def _state_of_pull(platform: Platform, task: Task) -> PullState:
    task = platform.get(Task, task.id)
    assert task.pr_number is not None
    pull = local_forge().read_pull_request(platform.repository(task.project_id), task.pr_number)
    assert pull is not None
    return pull.state


def test_a_cancelled_task_closes_no_pull_request_of_another_branch(platform: Platform) -> None:
    task = platform.ready(platform.project(), "Greet", {"a": "a"})
    _given_again(platform, task)

    tasks.cancel_task(task.id, by=platform.max)
    platform.run_jobs()

    assert (_state_of_pull(platform, task), _cleaning(platform).state) == (PullState.OPEN, "done")


def test_a_credential_that_is_made_for_a_run_that_is_over_is_revoked(platform: Platform) -> None:
    project = platform.project()
    task = platform.task(project)
    platform.agent()
    platform.run_jobs(until=lambda: bool(platform.runs(task)))
    (run,) = platform.runs(task)
    (job,) = platform.all(Job, Job.kind == PREPARE_RUN.name)
    lease = _begun_job(job.id)
    tasks.cancel_task(task.id, by=platform.max)
    platform.run_jobs(until=lambda: [one.state for one in platform.all(Job, Job.kind == CLOSE_RUN.name)] == ["done"])

    where = platform.repository(project.id)
    made = local_forge().ensure_credential(where, branch=task.branch_name, run_id=run.id)
    preparation.record_prepared(lease, username=made.username, password=made.password, base_sha="0" * 40)
    platform.run_jobs()

    assert local_forge().check_credential(where, made.username, made.password) is None
