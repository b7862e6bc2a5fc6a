"""A Gitea that no longer accepts the platform's token: what is under way waits, and goes on with a valid one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.jobs import catalogue
from common.models import Job, Question, Task
from common.values.states import JobState
from tests.workers.gitea_and_cluster import GiteaAndCluster

pytestmark = pytest.mark.slow

REMEDY = "the server does not accept the token; set GITEA_TOKEN to a valid one"


def _revoke(plain: GiteaAndCluster) -> None:
    plain.server.admin.token = "another"


def _renew(plain: GiteaAndCluster) -> None:
    plain.server.admin.token = plain.server.token


def _waits(plain: GiteaAndCluster, kind: catalogue.Kind) -> bool:
    return bool(plain.all(Job, Job.kind == kind.name, Job.waits_for == "access"))


def _waiting(plain: GiteaAndCluster, kind: catalogue.Kind, begin: Callable[[], object]) -> None:
    """Begin something while the token is not accepted, until a job of it waits for access."""
    _revoke(plain)
    begin()
    plain.run_jobs(until=lambda: _waits(plain, kind))
    (job,) = plain.all(Job, Job.kind == kind.name, Job.waits_for == "access")
    assert REMEDY in str(job.error)
    assert plain.all(Job, Job.state_ == JobState.FAILED) == []


def _go_on(plain: GiteaAndCluster) -> None:
    _renew(plain)
    plain.run_jobs()
    assert plain.all(Job, Job.state_ == JobState.FAILED) == []


def test_proven_work_waits_and_the_runs_user_is_removed_later(plain: GiteaAndCluster) -> None:
    project = plain.project()
    task = plain.task(project)
    claimed = plain.claim()
    sha = plain.push(claimed, {"greeting": "hello\n"})

    _waiting(plain, catalogue.VERIFY_RUN, lambda: plain.finish(claimed, sha))
    plain.run_jobs(until=lambda: _waits(plain, catalogue.CLOSE_RUN))
    assert plain.get(Task, task.id).phase == "verifying"
    assert plain.all(Question) == []

    _go_on(plain)
    assert plain.get(Task, task.id).state == "ready_to_test"
    assert [login for login in plain.server.model.users if login.startswith("aiw-run-")] == []
