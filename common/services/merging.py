"""Building a group's release branch and testing it: what its job reads and records, one step at a time.

The branch starts at the default branch's head; each approved commit is merged in order, by expected SHA; the result
is tested. A red result is searched by halves for the first member whose merge made it red: that one is taken out and
handed back to its agent with the facts, and the rest is built anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select

from common.errors import Conflict
from common.models.delivery import GroupMember, TaskGroup
from common.models.project import Project
from common.models.task import Task
from common.names import RELEASE_PREFIX
from common.services import delivery_rules, deployments, ending
from common.services.places import Place, place_of
from common.services.projects import environment_of
from common.services.rollouts import member_task_ids, release_members
from common.services.task_groups import restart_build, start_staging
from common.services.tasks import add_feedback
from common.states import By, Environment, GroupState, TaskState
from common.transaction import Lease, Transaction, transactional


class Step(StrEnum):
    START = "start"
    """Point the release branch at the default branch's head."""
    MERGE = "merge"
    """Merge the next member."""
    TEST = "test"
    """Test a commit of the branch."""
    STAGE = "stage"
    """Merged and wanted on staging."""


@dataclass(frozen=True)
class MergePlan:
    """The next step. task_id, commit_sha, expected_head: for MERGE. check_id, commit_sha: for TEST; test_command None:
    the project has no tests."""

    step: Step
    place: Place
    group_id: str
    branch: str
    task_id: str = ""
    title: str = ""
    commit_sha: str = ""
    expected_head: str = ""
    check_id: str = ""
    test_command: str | None = None
    env: dict[str, str] | None = None


@transactional
def begin_merge(tx: Transaction, lease: Lease) -> MergePlan | None:
    """The next step; None if there is nothing to do (any more)."""
    group = _locked(tx, lease.subject_id)
    if group is None:
        return None
    project = tx.get(Project, group.project_id)
    place = place_of(project)
    if group.state is GroupState.MERGED and group.wants_staging:
        return MergePlan(Step.STAGE, place, group.id, group.branch)
    if group.state is GroupState.PENDING:
        tx.record(group.move_to(GroupState.MERGING, By.PLATFORM))
    if group.state is GroupState.MERGING:
        _take_waiting_out(tx, group)
    if group.state is not GroupState.MERGING:
        return None
    if group.base_sha is None or group.head_sha is None:
        return MergePlan(Step.START, place, group.id, group.branch)
    for member in _members(tx, group):
        if member.merged_sha is None:
            title = tx.get(Task, member.task_id).title
            return MergePlan(
                Step.MERGE, place, group.id, group.branch, member.task_id, title, member.approved_sha, group.head_sha
            )
    return _test_plan(tx, group, project, place)


def _test_plan(tx: Transaction, group: TaskGroup, project: Project, place: Place) -> MergePlan:
    members = _members(tx, group)
    upto = group.build.get("testing", len(members))
    commit = members[upto - 1].merged_sha or ""
    return MergePlan(
        Step.TEST, place, group.id, group.branch, commit_sha=commit, check_id=f"{group.id}-{group.attempt}-{upto}",
        test_command=project.test_command, env=environment_of(project),
    )  # fmt: skip


@transactional
def record_started(tx: Transaction, lease: Lease, *, base_sha: str) -> None:
    """The release branch is at the default branch's head."""
    group = _merging(tx, lease)
    if group is not None:
        group.base_sha = group.head_sha = base_sha
    tx.again(lease, after_seconds=0)


@transactional
def record_merged_member(tx: Transaction, lease: Lease, plan: MergePlan, *, head_sha: str) -> None:
    """A member is in the branch, whose head is head_sha now."""
    group = _merging(tx, lease)
    if group is not None and group.head_sha == plan.expected_head:
        member = tx.session.get(GroupMember, (group.id, plan.task_id))
        if member is not None and member.removed_reason is None:
            member.merged_sha, group.head_sha = head_sha, head_sha
    tx.again(lease, after_seconds=0)


@transactional
def record_conflict(tx: Transaction, lease: Lease, plan: MergePlan, *, files: Sequence[str]) -> None:
    """A member can't be merged: it is taken out and handed back with the files; the rest goes on."""
    group = _merging(tx, lease)
    if group is not None:
        against = tx.get(Project, group.project_id).default_branch
        detail = (
            f"conflicts with {against} and the tasks before it in {group.branch} (at {plan.expected_head[:12]}) in "
            f"{', '.join(files)}. Merge {against} into your branch once the others have landed, and solve it there."
        )
        _take_out(tx, group, plan.task_id, "conflict", list(files), detail)
        _end_if_empty(tx, group)
    tx.again(lease, after_seconds=0)


@transactional
def record_testing(tx: Transaction, lease: Lease, *, after_seconds: float) -> None:
    """The test runs; look again later."""
    tx.again(lease, after_seconds=after_seconds)


@transactional
def record_green(tx: Transaction, lease: Lease, plan: MergePlan) -> None:
    """The tested commit passed: the whole branch is good, or the culprit comes after it."""
    group = _merging(tx, lease)
    if group is None or not plan.check_id.startswith(f"{group.id}-{group.attempt}-"):
        tx.again(lease, after_seconds=0)
        return
    tested, count = int(plan.check_id.rsplit("-", 1)[1]), len(_members(tx, group))
    if tested == count and "low" not in group.build:
        group.tested_sha, group.error = group.head_sha, None
        tx.record(group.move_to(GroupState.MERGED, By.PLATFORM))
        if group.wants_staging:
            tx.again(lease, after_seconds=0)
        else:
            tx.finish(lease)
        return
    _narrow(tx, group, low=tested, high=group.build["high"])
    tx.again(lease, after_seconds=0)


@transactional
def record_red(tx: Transaction, lease: Lease, plan: MergePlan, *, reason: str, log: str) -> None:
    """The tested commit failed: the culprit is its last member or one before it."""
    group = _merging(tx, lease)
    if group is not None and plan.check_id.startswith(f"{group.id}-{group.attempt}-"):
        tested = int(plan.check_id.rsplit("-", 1)[1])
        group.build = {**group.build, "reason": reason, "log": log[-4000:]}
        _narrow(tx, group, low=group.build.get("low", 0), high=tested)
    tx.again(lease, after_seconds=0)


def _narrow(tx: Transaction, group: TaskGroup, *, low: int, high: int) -> None:
    """The first `low` members are green together, the first `high` are red: halve, or name the culprit."""
    if high - low > 1:
        group.build = {**group.build, "low": low, "high": high, "testing": (low + high) // 2}
        return
    culprit = _members(tx, group)[high - 1]
    reason, log = group.build.get("reason", "the tests failed"), group.build.get("log", "")
    detail = f"the tests pass without it and fail with it in {group.branch}: {reason}"
    _take_out(tx, group, culprit.task_id, "tests_failed", [], f"{detail}\n\n{log}".strip())
    if not _end_if_empty(tx, group):
        restart_build(tx, group)


def _take_out(tx: Transaction, group: TaskGroup, task_id: str, kind: str, files: list[str], detail: str) -> None:
    """Out of the group and back to its agent, with the facts."""
    member = tx.session.get(GroupMember, (group.id, task_id))
    if member is None or member.removed_reason is not None:
        return
    member.removed_reason, member.live_task_id, member.merged_sha = kind, None, None
    group.problems = [*group.problems, {"taskId": task_id, "kind": kind, "files": files, "detail": detail}]
    task = tx.lock(Task, task_id)
    if task.state is TaskState.APPROVED:
        add_feedback(tx, task, "group", f"{kind}: {detail}")
        task.approved_sha, task.approved_by, task.round, task.attempts = None, None, task.round + 1, 0
        ending.queue_again(tx, task, by=By.PLATFORM)
    tx.session.flush()


def _take_waiting_out(tx: Transaction, group: TaskGroup) -> None:
    """A task whose dependency is neither in the group (any more) nor delivered leaves it, approved as it is."""
    was_merged = False
    while waiting := delivery_rules.waiting(tx, member_task_ids(tx, group.id)):
        for task_id, needed in waiting.items():
            detail = (
                f"depends on task {needed.id}, which is {needed.state} and not in this group: deliver them together"
            )
            member = tx.session.get(GroupMember, (group.id, task_id))
            assert member is not None
            was_merged = was_merged or member.merged_sha is not None
            member.removed_reason, member.live_task_id, member.merged_sha = "dependency", None, None
            problem = {"taskId": task_id, "kind": "dependency", "files": [], "detail": detail}
            group.problems = [*group.problems, problem]
        tx.session.flush()
    if not _end_if_empty(tx, group) and was_merged:
        restart_build(tx, group)


def _end_if_empty(tx: Transaction, group: TaskGroup) -> bool:
    if member_task_ids(tx, group.id):
        return False
    tx.record(group.move_to(GroupState.CONFLICT, By.PLATFORM))
    release_members(tx, group)
    return True


@transactional
def record_staging(tx: Transaction, lease: Lease) -> None:
    """The merged group goes to staging, or waits until the environment is free."""
    group = _locked(tx, lease.subject_id)
    if group is None or group.state is not GroupState.MERGED or not group.wants_staging:
        tx.finish(lease)
    elif deployments.is_busy(tx, group.project_id, Environment.STAGING):
        tx.again(lease, after_seconds=3)
    else:
        _stage_unless_refused(tx, group)
        tx.finish(lease)


def _stage_unless_refused(tx: Transaction, group: TaskGroup) -> None:
    """To staging; where the rules forbid that by now, it stays merged, and says what a person has to do."""
    try:
        delivery_rules.check_group(tx, group)
    except Conflict as refused:
        group.wants_staging, group.error = False, refused.message
    else:
        start_staging(tx, group)


@transactional
def fail_merge(tx: Transaction, group_id: str, reason: str) -> None:
    """The forge or the runtime refused, or the job was given up."""
    group = _locked(tx, group_id)
    if group is not None and group.state is GroupState.MERGING:
        group.error = reason[:2000]
        tx.record(group.move_to(GroupState.FAILED, By.PLATFORM))


@transactional
def record_merge_refused(tx: Transaction, lease: Lease, reason: str) -> None:
    fail_merge(lease.subject_id, reason)
    tx.finish(lease)


@transactional
def record_head_moved(tx: Transaction, lease: Lease) -> None:
    """The release branch is not where it was left: build it anew."""
    group = _merging(tx, lease)
    if group is not None:
        restart_build(tx, group)
    tx.again(lease, after_seconds=0)


@dataclass(frozen=True)
class FinishPlan:
    """pull_requests: numbers to be closed as merged by commit_sha. tag: names the release. spare_tag: where something
    else has that name, one that only this commit can have."""

    place: Place
    commit_sha: str
    pull_requests: tuple[int, ...]
    tag: str
    spare_tag: str


@transactional
def begin_finish(tx: Transaction, lease: Lease) -> FinishPlan | None:
    """What is left to do of a delivered group."""
    group = tx.session.get(TaskGroup, lease.subject_id)
    if group is None or group.state is not GroupState.PRODUCTION or group.tested_sha is None:
        return None
    numbers = tx.session.scalars(
        select(Task.pr_number).where(Task.id.in_(member_task_ids(tx, group.id)), Task.pr_number.is_not(None))
    )
    tag = f"released/{group.branch.removeprefix(RELEASE_PREFIX)}"
    return FinishPlan(
        place_of(tx.get(Project, group.project_id)), group.tested_sha, tuple(n for n in numbers if n is not None),
        tag, f"{tag}-{group.tested_sha[:12]}",
    )  # fmt: skip


@transactional
def record_finished(tx: Transaction, lease: Lease, *, remark: str | None) -> None:
    """All is done that follows a delivery. remark: what a person should know of it, shown on the group."""
    tx.lock(TaskGroup, lease.subject_id).error = remark
    tx.finish(lease)


@transactional
def fail_finish(tx: Transaction, group_id: str, reason: str) -> None:
    """The group is delivered, but its pull requests or its tag are not as they should be: the group says so."""
    if tx.session.get(TaskGroup, group_id) is not None:
        tx.lock(TaskGroup, group_id).error = reason[:2000]


def _members(tx: Transaction, group: TaskGroup) -> list[GroupMember]:
    return tx.all(
        select(GroupMember)
        .where(GroupMember.group_id == group.id, GroupMember.removed_reason.is_(None))
        .order_by(GroupMember.position)
    )


def _locked(tx: Transaction, group_id: str) -> TaskGroup | None:
    """The group with its tasks, locked; None if it is gone."""
    if tx.session.get(TaskGroup, group_id) is None:
        return None
    tx.lock_all(Task, member_task_ids(tx, group_id))
    return tx.lock(TaskGroup, group_id)


def _merging(tx: Transaction, lease: Lease) -> TaskGroup | None:
    group = _locked(tx, lease.subject_id)
    return group if group is not None and group.state is GroupState.MERGING else None
