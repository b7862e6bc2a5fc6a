"""A secret key that was replaced: jobs wait for the earlier one, and what needs no secret goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from common.jobs import catalogue
from common.models import Job, Task, TaskCheck
from common.services.project_settings import variables
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.states import JobState
from tests.workers.conftest import SECRET_KEY
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

ANOTHER = "another secret key, of 32 characters and more"
SENTENCE = (
    "stored secrets were sealed with another AIWORKER_SECRET_KEY; the operator has to set that one: "
    "aiworker doctor says how"
)
SECRETS = {"secret_env_vars": {"KEY": "a secret value"}, "secrets_in_checks": ["KEY"]}
SetKey = Callable[[str], None]


@pytest.fixture
def set_key(monkeypatch: pytest.MonkeyPatch) -> SetKey:
    """As if the platform were started again with this key."""

    def change(key: str) -> None:
        monkeypatch.setenv("AIWORKER_SECRET_KEY", key)
        settings.cache_clear()
        variables._cached_mask.cache_clear()

    return change


def waiting(platform: Platform, kind: catalogue.Kind) -> list[Job]:
    return platform.all(Job, Job.kind == kind.name, Job.waits_for == "key")


@transactional
def _wait_days(tx: Transaction, job_id: str, days: int) -> None:
    job = tx.lock(Job, job_id)
    assert job.unavailable_since is not None
    job.unavailable_since -= timedelta(days=days)


def test_a_proof_waits_for_the_earlier_key_for_days_and_says_so(platform: Platform, set_key: SetKey) -> None:
    task = platform.task(platform.project(test_command='test "$KEY" = "a secret value"', **SECRETS))
    claimed = platform.claim()
    sha = platform.push(claimed, {"greeting": "hello\n"})
    platform.finish(claimed, sha)

    set_key(ANOTHER)
    platform.run_jobs(until=lambda: bool(waiting(platform, catalogue.VERIFY_RUN)))
    _wait_days(waiting(platform, catalogue.VERIFY_RUN)[0].id, 3)
    platform.run_jobs(until=lambda: any(job.waits > 1 for job in waiting(platform, catalogue.VERIFY_RUN)))

    (job,) = waiting(platform, catalogue.VERIFY_RUN)
    assert (job.state, job.attempts, job.error) == (JobState.QUEUED, 0, SENTENCE)
    assert platform.get(Task, task.id).phase == "verifying"
    (check,) = platform.all(TaskCheck, TaskCheck.task_id == task.id)
    assert (check.name, check.status, check.message) == ("tests", "running", f"The tests have not begun: {SENTENCE}")

    set_key(SECRET_KEY)
    platform.run_jobs()
    assert platform.get(Task, task.id).state == "ready_to_test"
    assert platform.all(Job, Job.waits_for.is_not(None)) == []
