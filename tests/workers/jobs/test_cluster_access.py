"""A cluster that denies access: what is under way waits, however long it lasts, and goes on by itself.

The API server says 403 of everything for some seconds after its start, and for hours where somebody changed its roles.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common import jobs
from common.models import Job, Project, Question, Task
from common.services.projects import projects
from common.states import JobState
from tests.workers.elsewhere import Elsewhere

pytestmark = pytest.mark.slow


def _waiting(plain: Elsewhere, kind: jobs.Kind) -> list[Job]:
    return plain.all(Job, Job.kind == kind.name, Job.waits_for == "access")


def _denied(plain: Elsewhere, kind: jobs.Kind, begin: Callable[[], object]) -> Job:
    """Begin something while the API server denies everything, for three days; returns the job of it that waits."""
    plain.cluster.access.is_cold = True
    begin()
    for hours in (0.0, 24.0, 48.0):
        plain.run_jobs(until=lambda: bool(_waiting(plain, kind)))
        plain.wait_longer(hours)
        waits = _waiting(plain, kind)[0].waits
        plain.run_jobs(until=lambda least=waits: bool(_waiting(plain, kind)) and _waiting(plain, kind)[0].waits > least)  # type: ignore[misc]
    (job,) = _waiting(plain, kind)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert "403" in str(job.error)
    assert plain.all(Job, Job.state_ == JobState.FAILED) == []
    return job


def _let_in(plain: Elsewhere) -> None:
    plain.cluster.access.is_cold = False
    plain.run_jobs()
    assert plain.all(Job, Job.waits_for.is_not(None)) == []


def test_a_proof_waits_for_access_and_the_work_is_neither_refused_nor_a_persons_matter(plain: Elsewhere) -> None:
    project = plain.project(test_command="true")
    task = plain.task(project)
    claimed = plain.claim()
    sha = plain.push(claimed, {"greeting": "hello\n"})

    _denied(plain, jobs.VERIFY_RUN, lambda: plain.finish(claimed, sha))
    waiting = plain.get(Task, task.id)
    assert (waiting.state, waiting.phase, waiting.refusals, waiting.round) == ("in_progress", "verifying", 0, 1)
    assert plain.all(Question) == []

    _let_in(plain)
    assert plain.get(Task, task.id).state == "ready_to_test"


def test_what_is_denied_although_the_right_is_there_is_final_after_two_minutes(plain: Elsewhere) -> None:
    # Such as an admission webhook's: no change of roles would ever let it in.
    plain.cluster.faults.add("PATCH .*/resourcequotas/", "403", nth=0)
    projects.create_project({"name": "Denied"}, by=plain.max)
    plain.run_jobs(until=lambda: bool(_waiting(plain, jobs.PROVISION_PROJECT)))
    (project,) = plain.all(Project)
    assert project.state == "provisioning"

    plain.wait_longer(1 / 30)
    plain.run_jobs()
    (failed,) = plain.all(Project)
    assert (failed.state, "403" in str(failed.error)) == ("failed", True)
