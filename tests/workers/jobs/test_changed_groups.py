"""What a step of a group's job records when people changed the group while the step was under way."""

from __future__ import annotations

import pytest

from common.jobs.catalogue import MERGE_GROUP, Lease
from common.models import Job, Project, Task, TaskGroup
from common.providers.runtime import runtime
from common.services.activity import jobs
from common.services.delivery import merge_train, merging, task_groups
from common.services.delivery.merging import MergePlan
from common.services.project_settings.project_resources import location_of
from common.services.projects import projects
from tests.workers.jobs.test_train import FILES, PLAIN, approved
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def _began_merging(platform: Platform, group: TaskGroup, task: Task) -> tuple[Lease, MergePlan]:
    """Run the group's job up to the merge of the task, which has begun and is not recorded."""

    def is_next() -> bool:
        step = merge_train.read_train(group.id, by=platform.max).step
        return step is not None and step.task_id == task.id

    platform.run_jobs(until=is_next)
    (job,) = platform.all(Job, Job.kind == MERGE_GROUP.name, Job.subject_id == group.id)
    lease = jobs.claim_job(job.id)
    assert lease is not None
    plan = merging.begin_merge(lease)
    assert plan is not None
    assert plan.task_id == task.id
    return lease, plan


def test_a_conflict_with_a_task_that_was_taken_out_meanwhile_takes_nobody_out(platform: Platform) -> None:
    project = platform.project(PLAIN)
    first, second, third = approved(platform, project, {"page": "1\n"}, {"page": "2\n"}, {"other": "x\n"})
    group = platform.group(first, second, third)
    lease, plan = _began_merging(platform, group, second)

    task_groups.remove_from_group(group.id, first.id, by=platform.max)
    merging.record_conflict(lease, plan, files=["page"])
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert (group.state, group.problems) == ("merged", [])
    task = platform.get(Task, second.id)
    assert (task.state, task.approved_sha) == ("approved", second.approved_sha)
    assert task_groups.read_task_group(group.id, by=platform.max).task_ids == [second.id, third.id]


def test_the_tests_of_a_group_that_is_cancelled_are_stopped(platform: Platform) -> None:
    """They would take the place of others for 15 minutes."""
    project = platform.project(PLAIN)
    first, second = approved(platform, project, *FILES[:2])
    projects.update_project(project.id, {"test_command": "sleep 600"}, by=platform.max)
    group = platform.group(first, second)
    space = location_of(platform.get(Project, project.id)).space

    def running() -> str:
        name = platform.get(TaskGroup, group.id).build.check_id
        return name if name and runtime().read_check(space, name) is not None else ""

    platform.run_jobs(until=lambda: running() != "")
    name = running()
    task_groups.cancel_task_group(group.id, by=platform.max)
    platform.run_jobs()

    ended = platform.get(TaskGroup, group.id)
    assert (ended.state, ended.build.unfinished) == ("cancelled", ())
    assert runtime().read_check(space, name) is None
