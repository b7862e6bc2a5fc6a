"""How the merging and testing of a group goes: the order, who was taken out and why, and every test with its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import defer

from common.errors import NotFound
from common.models.delivery import GroupMember, GroupTest, TaskGroup
from common.models.project import Project
from common.models.task import Task
from common.services.delivery.bisection import RunNext, Tally, decide
from common.services.delivery.group_tests import green_runs_of
from common.services.delivery.merging import Step
from common.services.lifecycle.group_membership import group_seen_by
from common.services.requests.access import Caller
from common.transaction import snapshot
from common.values.states import GroupState


@dataclass(frozen=True)
class Car:
    """A task that is in the group or was taken out of it. removed_reason: the kind of its problem, `removed` if a
    person took it out; None while it is in. files, detail: what is known of the problem; empty if nothing.
    """

    task: Task
    member: GroupMember
    files: Sequence[str] = ()
    detail: str = ""


@dataclass(frozen=True)
class PresentStep:
    """What the group waits for. task_id: the task being merged, or the last one in the commit being tested; None for
    the default branch. position: how many members the commit being tested holds. run: which test of this commit it is,
    from 1. position and run are None unless it is a test.
    """

    step: Step
    task_id: str | None = None
    position: int | None = None
    run: int | None = None


@dataclass(frozen=True)
class Train:
    """cars: in the order of merging, those taken out included. tests: oldest first, without their logs. step: None
    unless the group is being merged.
    """

    group: TaskGroup
    cars: Sequence[Car]
    tests: Sequence[GroupTest]
    step: PresentStep | None


def read_train(group_id: str, *, by: Caller) -> Train:
    """NotFound if the caller can't see the group."""
    with snapshot() as read:
        group, project = group_seen_by(read, group_id, by)
        rows = read.session.execute(
            select(Task, GroupMember)
            .join(GroupMember, GroupMember.task_id == Task.id)
            .where(GroupMember.group_id == group_id)
            .order_by(GroupMember.position)
        )
        cars = [_car(group, task, member) for task, member in rows]
        runs = select(GroupTest).where(GroupTest.group_id == group_id).options(defer(GroupTest.log, raiseload=True))
        tests = read.all(runs.order_by(GroupTest.id))
        return Train(group, cars, tests, _present_step(group, project, [one.member for one in cars]))


def read_test(group_id: str, test_id: str, *, by: Caller) -> GroupTest:
    """One test with its log. NotFound if the caller can't see it."""
    with snapshot() as read:
        group_seen_by(read, group_id, by)
        found = read.get(GroupTest, test_id)
        if found is None or found.group_id != group_id:
            raise NotFound(f"test {test_id} of task group {group_id}")
        return found


def _car(group: TaskGroup, task: Task, member: GroupMember) -> Car:
    if member.removed_reason is None:
        return Car(task, member)
    for problem in reversed(group.problems):
        if (problem["taskId"], problem["kind"]) == (task.id, member.removed_reason):
            files = problem["files"]
            return Car(task, member, files if isinstance(files, list) else (), str(problem["detail"]))
    return Car(task, member)


def _present_step(group: TaskGroup, project: Project, members: Sequence[GroupMember]) -> PresentStep | None:
    if group.state is not GroupState.MERGING:
        return None
    if group.base_sha is None or group.head_sha is None:
        return PresentStep(Step.START)
    inside = [member for member in members if member.removed_reason is None]
    for member in inside:
        if member.merged_sha is None:
            return PresentStep(Step.MERGE, member.task_id)
    if group.build.statuses is not None:
        return PresentStep(Step.STATUSES)
    next_one = None
    if project.test_command and inside:
        next_one = decide(len(inside), group.build.runs, green_runs=green_runs_of(group, project))
    if not isinstance(next_one, RunNext):
        return PresentStep(Step.TEST)
    position = next_one.position
    task_id = inside[position - 1].task_id if position else None
    return PresentStep(Step.TEST, task_id, position, Tally(group.build.runs).total(position) + 1)
