"""A cluster that denies access: what is under way waits, however long it lasts, and goes on by itself.

The API server says 403 of everything for some seconds after its start, and for hours where somebody changed its roles.
"""

from __future__ import annotations

import pytest

from common.jobs import catalogue
from common.models import Job, Project, Question, Task
from common.services.projects import projects
from common.values.states import JobState
from tests.workers.gitea_and_cluster import GiteaAndCluster

pytestmark = pytest.mark.slow


def _waiting(plain: GiteaAndCluster, kind: catalogue.Kind) -> list[Job]:
    return plain.all(Job, Job.kind == kind.name, Job.waits_for == "access")


def test_a_proof_waits_for_access_and_the_work_is_neither_refused_nor_a_persons_matter(plain: GiteaAndCluster) -> None:
    project = plain.project(test_command="true")
    task = plain.task(project)
    claimed = plain.claim()
    sha = plain.push(claimed, {"greeting": "hello\n"})

    plain.cluster.access.is_cold = True
    plain.finish(claimed, sha)
    plain.run_jobs(until=lambda: bool(_waiting(plain, catalogue.VERIFY_RUN)))
    plain.wait_longer(72)
    waits = _waiting(plain, catalogue.VERIFY_RUN)[0].waits
    plain.run_jobs(until=lambda: any(job.waits > waits for job in _waiting(plain, catalogue.VERIFY_RUN)))
    (job,) = _waiting(plain, catalogue.VERIFY_RUN)
    assert (job.state, job.attempts, "403" in str(job.error)) == (JobState.QUEUED, 0, True)
    waiting = plain.get(Task, task.id)
    assert (waiting.state, waiting.phase, waiting.refusals, waiting.round) == ("in_progress", "verifying", 0, 1)
    assert plain.all(Question) == []

    plain.cluster.access.is_cold = False
    plain.run_jobs()
    assert plain.all(Job, Job.waits_for.is_not(None)) == []
    assert plain.get(Task, task.id).state == "ready_to_test"


def test_what_is_denied_although_the_right_is_there_is_final_after_two_minutes(plain: GiteaAndCluster) -> None:
    # Such as an admission webhook's: no change of roles would ever let it in.
    plain.cluster.faults.add("PATCH .*/resourcequotas/", "403", nth=0)
    projects.create_project({"name": "Denied"}, by=plain.max)
    plain.run_jobs(until=lambda: bool(_waiting(plain, catalogue.PROVISION_PROJECT)))
    (project,) = plain.all(Project)
    assert project.state == "provisioning"

    plain.wait_longer(1 / 30)
    plain.run_jobs()
    (failed,) = plain.all(Project)
    assert (failed.state, "403" in str(failed.error)) == ("failed", True)
