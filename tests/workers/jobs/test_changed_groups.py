"""What a step of a group's job records when people changed the group while the step was under way."""

from __future__ import annotations

from common.jobs import MERGE_GROUP, Lease
from common.models import Job, Task, TaskGroup
from common.services import jobs
from common.services.delivery import merging, task_groups, trains
from common.services.delivery.merging import MergePlan
from tests.workers.jobs.test_train import FILES, PLAIN, approved
from tests.workers.platform import Platform


def _began_merging(platform: Platform, group: TaskGroup, task: Task) -> tuple[Lease, MergePlan]:
    """Run the group's job up to the merge of the task, which has begun and is not recorded."""

    def is_next() -> bool:
        step = trains.read_train(group.id, by=platform.max).step
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


def test_a_refused_merge_of_a_task_that_was_taken_out_meanwhile_does_not_fail_the_group(
    plain_platform: Platform,
) -> None:
    platform = plain_platform
    project = platform.project(PLAIN)
    first, second = approved(platform, project, *FILES[:2])
    group = platform.group(first, second)
    lease, plan = _began_merging(platform, group, first)

    task_groups.remove_from_group(group.id, first.id, by=platform.max)
    merging.record_merge_refused(lease, plan, f"there is no commit {first.approved_sha}")
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert (group.state, group.error) == ("merged", None)
