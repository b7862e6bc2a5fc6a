"""Building a group's release branch: what the job group.merge reads and records, one step at a time.

The branch starts at the default branch's head; each approved commit is merged in order, by expected SHA; then the
result is tested (see common/services/delivery/group_tests.py), and awaits the repository's own CI where the project
requires that (see common/services/delivery/group_statuses.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import select

from common.errors import Conflict
from common.jobs.catalogue import Lease
from common.models.delivery import GroupMember, TaskGroup
from common.models.project import Project
from common.models.task import Task
from common.services.delivery.group_statuses import AwaitedStatuses, awaited_statuses, lock_current
from common.services.delivery.group_tests import Trial, hand_back, next_trial
from common.services.delivery.task_groups import deploy_merged
from common.services.deployment import delivery_rules, deployments
from common.services.lifecycle import group_states
from common.services.lifecycle.group_membership import member_task_ids, members_of
from common.services.lifecycle.group_states import lock_with_tasks
from common.services.project_settings.project_resources import location_of
from common.services.project_settings.variables import mask_of_project
from common.transaction import Transaction, transactional
from common.values.delivery.project_location import ProjectLocation
from common.values.names import RELEASE_PREFIX, TAG_PREFIX
from common.values.states import By, Environment, GroupState


class Step(StrEnum):
    FORGET = "forget"
    """Stop tests whose results nobody needs any more."""
    START = "start"
    """Point the release branch at the default branch's head."""
    MERGE = "merge"
    """Merge the next member."""
    TEST = "test"
    """Test a commit of the branch."""
    STATUSES = "statuses"
    """Wait for what the repository's own CI says of the tested commit."""
    STAGE = "stage"
    """Deploy the merged group to staging."""


@dataclass(frozen=True)
class MergePlan:
    """The next step. attempt: the group's attempt, whose rise makes the result void.

    task_id, title, commit_sha, base_sha, expected_head: for MERGE. base_sha: the default branch's head that the branch
    began at. trial: for TEST. awaited: for STATUSES. left: the runtime's checks, for FORGET.
    """

    step: Step
    location: ProjectLocation
    group_id: str
    branch: str
    attempt: int
    task_id: str = ""
    title: str = ""
    commit_sha: str = ""
    base_sha: str = ""
    expected_head: str = ""
    trial: Trial | None = None
    awaited: AwaitedStatuses | None = None
    left: tuple[str, ...] = ()


@transactional
def begin_merge(tx: Transaction, lease: Lease) -> MergePlan | None:
    """Return the next step of merging, testing or staging the group; None if there is nothing left to do."""
    group = lock_with_tasks(tx, lease.subject_id)
    if group is None:
        return None
    project = tx.get(Project, group.project_id)
    location = location_of(project)
    if group.state is GroupState.MERGED and group.wants_staging:
        return MergePlan(Step.STAGE, location, group.id, group.branch, group.attempt)
    if group.state is GroupState.PENDING:
        group_states.start_merging(tx, group)
    if group.state is GroupState.MERGING:
        _take_waiting_out(tx, group)
    if left := group.build.left if group.state is GroupState.MERGING else group.build.unfinished:
        return MergePlan(Step.FORGET, location, group.id, group.branch, group.attempt, left=left)
    if group.state is not GroupState.MERGING:
        return None
    if group.base_sha is None or group.head_sha is None:
        return MergePlan(Step.START, location, group.id, group.branch, group.attempt)
    for member in members_of(tx, group):
        if member.merged_sha is None:
            title = tx.get(Task, member.task_id).title
            return MergePlan(
                Step.MERGE, location, group.id, group.branch, group.attempt, member.task_id, title, member.approved_sha,
                group.base_sha, group.head_sha,
            )  # fmt: skip
    if awaited := awaited_statuses(tx, group, project):
        return MergePlan(Step.STATUSES, location, group.id, group.branch, group.attempt, awaited=awaited)
    # It may begin another attempt.
    trial = next_trial(tx, group, project)
    return MergePlan(Step.TEST, location, group.id, group.branch, group.attempt, trial=trial)


def _take_waiting_out(tx: Transaction, group: TaskGroup) -> None:
    """Take out tasks that depend on a task that is neither in the group nor delivered. They stay approved."""
    was_merged = False
    while waiting := delivery_rules.waiting(tx, member_task_ids(tx, group.id)):
        for task_id, needed in waiting.items():
            member = tx.session.get(GroupMember, (group.id, task_id))
            was_merged = was_merged or (member is not None and member.merged_sha is not None)
            group_states.remove_member(tx, group, task_id, "dependency")
            remedy = delivery_rules.remedy_for(needed, "deliver them together")
            detail = f"depends on task {needed.title!r}, which is {needed.state} and not in this group: {remedy}"
            group_states.note_problem(group, task_id, "dependency", detail)
    if not group_states.end_if_empty(tx, group, by=By.PLATFORM) and was_merged:
        group_states.restart_merge(tx, group, By.PLATFORM)


@transactional
def record_forgotten(tx: Transaction, lease: Lease, plan: MergePlan) -> None:
    """The plan's checks are stopped."""
    group = lock_with_tasks(tx, lease.subject_id)
    if group is not None:
        build = group.build
        left = tuple(name for name in build.left if name not in plan.left)
        group.build = replace(build, left=left, check_id="" if build.check_id in plan.left else build.check_id)
    tx.again(lease, after_seconds=0)


@transactional
def record_started(tx: Transaction, lease: Lease, *, base_sha: str) -> None:
    """The release branch points at base_sha, the default branch's head."""
    group = _merging(tx, lease)
    if group is not None:
        group.base_sha = group.head_sha = base_sha
    tx.again(lease, after_seconds=0)


@transactional
def record_merged_member(tx: Transaction, lease: Lease, plan: MergePlan, *, head_sha: str) -> None:
    """The plan's member is merged; the release branch's head is head_sha now."""
    group = _merging(tx, lease)
    if group is not None and group.head_sha == plan.expected_head:
        member = tx.session.get(GroupMember, (group.id, plan.task_id))
        if member is not None and member.removed_reason is None:
            member.merged_sha, group.head_sha = head_sha, head_sha
    tx.again(lease, after_seconds=0)


@transactional
def record_conflict(tx: Transaction, lease: Lease, plan: MergePlan, *, files: Sequence[str]) -> None:
    """The plan's member conflicts: it is taken out and given back to its agent with the files; the rest goes on.

    Nothing of this happens if the group was rebuilt or ended since the plan was made: what the member conflicted with
    may have been taken out.
    """
    _take_out(
        tx, lease, plan, "conflict",
        lambda group, against: (
            f"conflicts with {against} and the tasks before it in {group.branch} (at {plan.expected_head[:12]}) in "
            f"{', '.join(files)}. Merge {against} into your branch once the others are delivered, and resolve it there."
        ),
        files,
    )  # fmt: skip


@transactional
def record_taking_back(tx: Transaction, lease: Lease, plan: MergePlan, *, files: Sequence[str]) -> None:
    """The plan's member and one before it have the same commits, and one takes back what the other changed in these
    files: the member is taken out and given back to its agent; the rest goes on. As record_conflict otherwise.
    """
    _take_out(
        tx, lease, plan, "takes_back",
        lambda group, against: (
            f"has the same commits as a task before it in {group.branch} (at {plan.expected_head[:12]}), and one of "
            f"the two takes back what the other changed in {', '.join(files)}. Merge {against} into your branch once "
            "the others are delivered, and make what you want of it there."
        ),
        files,
    )  # fmt: skip


@transactional
def record_unrelated(tx: Transaction, lease: Lease, plan: MergePlan) -> None:
    """The plan's member has no commit in common with the default branch, which somebody replaced by another history:
    the member is taken out and given back to its agent; the rest goes on. As record_conflict otherwise.
    """
    _take_out(
        tx, lease, plan, "unrelated_history",
        lambda group, against: (
            f"has no history in common with {against} any more, because somebody replaced {against} by another "
            f"history. Do the work again on a branch that starts at {against}."
        ),
    )  # fmt: skip


def _take_out(
    tx: Transaction,
    lease: Lease,
    plan: MergePlan,
    kind: str,
    say: Callable[[TaskGroup, str], str],
    files: Sequence[str] = (),
) -> None:
    """Give the plan's member back to its agent, and go on with the rest, unless the group was rebuilt or ended since.

    kind, files: as hand_back. say: returns the detail, from the group and the name of the default branch.
    """
    group = lock_current(tx, lease, plan.attempt)
    if group is not None:
        against = tx.get(Project, group.project_id).default_branch
        hand_back(tx, group, plan.task_id, kind, say(group, against), files)
        group_states.end_if_empty(tx, group, by=By.PLATFORM)
    tx.again(lease, after_seconds=0)


@transactional
def record_staging(tx: Transaction, lease: Lease) -> None:
    """Deploy the merged group to staging, or try again in 3 s while another deployment is under way there."""
    group = lock_with_tasks(tx, lease.subject_id)
    if group is None or group.state is not GroupState.MERGED or not group.wants_staging:
        tx.finish(lease)
    elif deployments.is_busy(tx, group.project_id, Environment.STAGING):
        tx.again(lease, after_seconds=3)
    else:
        _stage_unless_refused(tx, group)
        tx.finish(lease)


def _stage_unless_refused(tx: Transaction, group: TaskGroup) -> None:
    """Deploy to staging. If the delivery rules refuse, the group stays merged and its error says what to do."""
    try:
        delivery_rules.check_group(tx, group)
    except Conflict as refused:
        group_states.stay_merged(tx, group, refused.message)
    else:
        deploy_merged(tx, group)


@transactional
def fail_merge(tx: Transaction, group_id: str, reason: str) -> None:
    """Fail a group that is to be merged, because the forge or the runtime refused or the job used up its attempts.

    A merged group that was to go to staging stays merged, with the reason as its error. reason is masked here. Nothing
    happens in any other state.
    """
    group = lock_with_tasks(tx, group_id)
    if group is None:
        return
    if group.state is GroupState.PENDING:
        group_states.start_merging(tx, group)
    masked = mask_of_project(tx, group.project_id)(reason)
    if group.state is GroupState.MERGING:
        group_states.fail_group(tx, group, masked[:2000])
    elif group.state is GroupState.MERGED and group.wants_staging:
        group_states.stay_merged(tx, group, f"it could not be deployed to staging: {masked}"[:2000])


@transactional
def record_merge_refused(tx: Transaction, lease: Lease, plan: MergePlan, reason: str) -> None:
    """The forge or the runtime refused the plan's step: fail the group, unless it was rebuilt or ended since then."""
    if lock_current(tx, lease, plan.attempt) is None:
        tx.again(lease, after_seconds=0)
        return
    fail_merge(lease.subject_id, reason)
    tx.finish(lease)


@transactional
def record_head_moved(tx: Transaction, lease: Lease) -> None:
    """The release branch was moved by somebody else: rebuild it."""
    group = _merging(tx, lease)
    if group is not None:
        group_states.restart_merge(tx, group, By.PLATFORM)
        group_states.record_update(tx, group, "headSha")
    tx.again(lease, after_seconds=0)


@dataclass(frozen=True)
class FinishPlan:
    """What to clean up after a delivery.

    pull_requests: (number, its branch) to close as merged by commit_sha. tag: the release's tag. spare_tag: a name that
    only this commit can have, for when the tag exists elsewhere.
    """

    location: ProjectLocation
    commit_sha: str
    pull_requests: tuple[tuple[int, str], ...]
    tag: str
    spare_tag: str


@transactional
def begin_finish(tx: Transaction, lease: Lease) -> FinishPlan | None:
    """What is left to do for a delivered group; None if it is not in production."""
    group = tx.session.get(TaskGroup, lease.subject_id)
    if group is None or group.state is not GroupState.PRODUCTION or group.tested_sha is None:
        return None
    found = tx.session.execute(
        select(Task.pr_number, Task.branch_name).where(Task.id.in_(member_task_ids(tx, group.id)))
    )
    tag = f"{TAG_PREFIX}{group.branch.removeprefix(RELEASE_PREFIX)}"
    return FinishPlan(
        location_of(tx.get(Project, group.project_id)), group.tested_sha,
        tuple((number, branch) for number, branch in found if number is not None), tag,
        f"{tag}-{group.tested_sha[:12]}",
    )  # fmt: skip


@transactional
def record_finished(tx: Transaction, lease: Lease, *, remark: str | None) -> None:
    """The clean-up after a delivery is done. remark: a note for people, shown as the group's error; None for none."""
    group_states.note_error(tx, tx.lock(TaskGroup, lease.subject_id), remark)
    tx.finish(lease)


@transactional
def fail_finish(tx: Transaction, group_id: str, reason: str) -> None:
    """The clean-up failed: the group stays delivered and shows the reason, which is masked here, as its error."""
    if tx.session.get(TaskGroup, group_id) is not None:
        group = tx.lock(TaskGroup, group_id)
        group_states.note_error(tx, group, mask_of_project(tx, group.project_id)(reason)[:2000])


def _merging(tx: Transaction, lease: Lease) -> TaskGroup | None:
    group = lock_with_tasks(tx, lease.subject_id)
    return group if group is not None and group.state is GroupState.MERGING else None
