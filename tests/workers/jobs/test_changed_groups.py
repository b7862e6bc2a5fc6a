"""What a step of a group's job records when people changed the group while the step was under way."""

from __future__ import annotations

import pytest

from common.jobs import MERGE_GROUP, Lease
from common.models import Comment, Job, Project, Task, TaskGroup
from common.providers.runtime import runtime
from common.services import jobs
from common.services.delivery import merging, task_groups, trains
from common.services.delivery.merging import MergePlan
from common.services.projects import projects
from common.services.projects.places import place_of
from common.transaction import Transaction, transactional
from tests.providers.git_tree import git
from tests.workers.jobs.test_train import FILES, PLAIN, approved
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


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


@transactional
def _lose_commit(tx: Transaction, task_id: str) -> None:
    task = tx.lock(Task, task_id)
    task.head_sha = task.approved_sha = "1" * 40


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


def test_a_task_of_a_history_that_was_replaced_goes_back_to_its_agent(plain_platform: Platform) -> None:
    """As one that was approved before somebody replaced the default branch by another history."""
    platform = plain_platform
    project = platform.project(PLAIN)
    (old,) = approved(platform, project, FILES[0])
    tree = platform.clone(project)
    git("checkout", "--quiet", "--orphan", "anew", at=tree.path)
    tree.commit({"README.md": "Anew\n"}, on="anew")
    tree.push("+anew:main")
    (new,) = approved(platform, project, FILES[1])

    group = platform.group(new, old)
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert (group.state, group.error) == ("merged", None)
    assert task_groups.read_task_group(group.id, by=platform.max).task_ids == [new.id]
    assert [(one["taskId"], one["kind"]) for one in group.problems] == [(old.id, "unrelated_history")]
    task = platform.get(Task, old.id)
    assert (task.state, task.phase) == ("in_progress", "queued")
    (feedback,) = platform.all(Comment, Comment.task_id == old.id, Comment.kind == "group")
    assert feedback.body.endswith("Do the work again on a branch that starts at main.")


def test_a_group_that_can_not_merge_a_task_names_it(plain_platform: Platform) -> None:
    """As one whose commit is lost."""
    platform = plain_platform
    project = platform.project(PLAIN)
    new, old = approved(platform, project, *FILES[:2])
    _lose_commit(old.id)

    group = platform.group(new, old)
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert group.state == "failed"
    assert group.error is not None
    assert group.error.startswith(f"the task {old.title!r} can't be merged: ")
    task_groups.remove_from_group(group.id, old.id, by=platform.max)
    platform.run_jobs()
    assert platform.get(TaskGroup, group.id).state == "merged"


@pytest.mark.parametrize("is_rebuilt", [False, True])
def test_the_tests_of_a_group_that_is_cancelled_or_rebuilt_are_stopped(
    plain_platform: Platform, is_rebuilt: bool
) -> None:
    """They would take the place of others for 15 minutes."""
    platform = plain_platform
    project = platform.project(PLAIN)
    first, second = approved(platform, project, *FILES[:2])
    projects.update_project(project.id, {"test_command": "sleep 600"}, by=platform.max)
    group = platform.group(first, second)
    space = place_of(platform.get(Project, project.id)).space

    def running() -> str:
        name = platform.get(TaskGroup, group.id).build.check_id
        return name if name and runtime().read_check(space, name) is not None else ""

    platform.run_jobs(until=lambda: running() != "")
    name = running()
    if is_rebuilt:
        projects.update_project(project.id, {"test_command": None}, by=platform.max)
        task_groups.remove_from_group(group.id, first.id, by=platform.max)
    else:
        task_groups.cancel_task_group(group.id, by=platform.max)
    platform.run_jobs()

    ended = platform.get(TaskGroup, group.id)
    assert (ended.state, ended.build.unfinished) == ("merged" if is_rebuilt else "cancelled", ())
    assert runtime().read_check(space, name) is None
