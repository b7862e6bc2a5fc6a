"""State changes of task groups and deployments. Only this module changes their states.

Each function is one step and resets the same fields wherever it is used. The rows that it changes are to be locked
before: for a group, the group and its tasks, which `lock_with_tasks` and `lock_with_group` do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select

from common.errors import Conflict
from common.events.catalogue import TaskGroupUpdated
from common.jobs import catalogue
from common.models.delivery import Deployment, GroupMember, TaskGroup
from common.models.task import Task
from common.services.lifecycle import task_states as tasks_lifecycle
from common.services.lifecycle.group_membership import holding_group_id, member_task_ids
from common.transaction import Transaction
from common.values.delivery.rollback_barrier import Barrier
from common.values.states import By, DeploymentState, GroupState
from common.values.testing.build_results import BuildResults

BEFORE_STAGING = frozenset({GroupState.PENDING, GroupState.MERGING, GroupState.MERGED, GroupState.FAILED})
"""States in which nothing of the group is deployed or being deployed: a task may leave, and the rest is rebuilt."""

_ON_STAGING = frozenset({GroupState.STAGING, GroupState.DEPLOYING_STAGING, GroupState.DEPLOYING_PRODUCTION})


def lock_with_tasks(tx: Transaction, group_id: str) -> TaskGroup | None:
    """Lock the group and its tasks. None if the group does not exist any more."""
    if tx.session.get(TaskGroup, group_id) is None:
        return None
    tx.lock_all(Task, member_task_ids(tx, group_id))
    return tx.lock(TaskGroup, group_id)


def lock_with_group(tx: Transaction, task_id: str) -> TaskGroup | None:
    """Lock the task, and the live group that holds it with all of its tasks. None if no group holds it."""
    group_id = holding_group_id(tx, task_id)
    if group_id is None:
        tx.lock(Task, task_id)
        group = None
    else:
        tx.lock_all(Task, [task_id, *member_task_ids(tx, group_id)])
        group = tx.lock(TaskGroup, group_id)
    # A task enters or leaves a group only under the task's lock, so from here on the holder does not change.
    holder = holding_group_id(tx, task_id)
    if holder not in {None, group_id}:
        raise Conflict("the task was put into another group just now; try again")
    return group if holder is not None else None


# Task groups: merging


def start_merging(tx: Transaction, group: TaskGroup) -> None:
    tx.record(group.move_to(GroupState.MERGING, By.PLATFORM))


def restart_merge(tx: Transaction, group: TaskGroup, by: By, *, is_retry: bool = False) -> None:
    """Rebuild the release branch from the default branch's present head, test it, and stage it again if it was staged.

    From any state in which the group holds its tasks. Tasks that were on staging are approved again. A failed group,
    and one that a person retries (is_retry), goes to staging again if it was ever deployed; any other only if it is
    there or on its way to production.
    """
    may_have_left = is_retry or group.state is GroupState.FAILED
    was_staged = group.state in _ON_STAGING or (may_have_left and _was_deployed(tx, group))
    if group.state not in {GroupState.PENDING, GroupState.MERGING}:
        _approve_staged(tx, member_task_ids(tx, group.id))
        tx.record(group.move_to(GroupState.MERGING, by))
    for member in tx.all(select(GroupMember).where(GroupMember.group_id == group.id)):
        member.merged_sha = None
    group.base_sha = group.head_sha = group.tested_sha = group.error = None
    group.build, group.attempt = BuildResults(left=group.build.unfinished), group.attempt + 1
    group.wants_staging = group.wants_staging or was_staged
    tx.enqueue(catalogue.MERGE_GROUP, group.id, project_id=group.project_id)


def complete_merge(tx: Transaction, group: TaskGroup) -> None:
    """The release branch's head passed its tests, or the project has none."""
    group.tested_sha, group.error = group.head_sha, None
    tx.record(group.move_to(GroupState.MERGED, By.PLATFORM))


def stay_merged(tx: Transaction, group: TaskGroup, reason: str) -> None:
    """The group may not go to staging by itself: a person reads the reason and decides."""
    group.wants_staging, group.error = False, reason
    record_update(tx, group, "error", "wantsStaging")


def note_error(tx: Transaction, group: TaskGroup, reason: str | None) -> None:
    """Show on the group what could not be done for it; None: there is nothing to show any more.

    reason: masked by the caller.
    """
    if group.error != reason:
        group.error = reason
        record_update(tx, group, "error")


def record_update(tx: Transaction, group: TaskGroup, *changed: str, task_id: str | None = None) -> None:
    """Record that something other than the state changed. changed, task_id: see TaskGroupUpdated."""
    tx.record(
        TaskGroupUpdated(
            feed=group.project_id, subject_task_id=task_id, task_group_id=group.id, changed=changed, task_id=task_id
        )
    )  # fmt: skip


def fail_group(tx: Transaction, group: TaskGroup, reason: str) -> None:
    """Merging, testing or staging failed. The group keeps its tasks until a person retries or cancels it.

    reason: masked by the caller.
    """
    group.error = reason
    tx.record(group.move_to(GroupState.FAILED, By.PLATFORM))


# Task groups: staging and production


def start_staging(tx: Transaction, group: TaskGroup) -> None:
    """A deployment of the tested commit to staging has been created."""
    group.wants_staging, group.error = False, None
    tx.record(group.move_to(GroupState.DEPLOYING_STAGING, By.PERSON))


def reach_staging(tx: Transaction, group: TaskGroup) -> None:
    """The group's version is live on staging."""
    tx.record(group.move_to(GroupState.STAGING, By.PLATFORM))
    for task in tx.lock_all(Task, member_task_ids(tx, group.id)):
        tasks_lifecycle.reach_staging(tx, task)


def start_production(tx: Transaction, group: TaskGroup) -> None:
    """A deployment of the staged commit to production has been created."""
    group.error = None
    tx.record(group.move_to(GroupState.DEPLOYING_PRODUCTION, By.PERSON))


def return_to_staging(tx: Transaction, group: TaskGroup, reason: str) -> None:
    """The deployment to production failed; the version still runs on staging. reason: the deployment's error."""
    group.error = reason
    tx.record(group.move_to(GroupState.STAGING, By.PLATFORM))


def reach_production(tx: Transaction, group: TaskGroup) -> None:
    """The group's version is live in production. Its tasks are delivered, and a job closes what was open for them."""
    tx.record(group.move_to(GroupState.PRODUCTION, By.PLATFORM))
    for task in tx.lock_all(Task, member_task_ids(tx, group.id)):
        tasks_lifecycle.reach_production(tx, task)
    _release_members(tx, group)
    tx.enqueue(catalogue.FINISH_GROUP, group.id, project_id=group.project_id)


def cancel_group(tx: Transaction, group: TaskGroup) -> None:
    """A person cancels the group. Its tasks are approved and free for another group; its deployment is superseded.

    A rollback to one of its versions is not its deployment and goes on.
    """
    tx.record(group.move_to(GroupState.CANCELLED, By.PERSON))
    _approve_staged(tx, member_task_ids(tx, group.id))
    _release_members(tx, group)
    # Pushes that were ignored while the group held the tasks count from now on.
    tx.enqueue(catalogue.WATCH_REPOSITORY, group.project_id, project_id=group.project_id)
    own = select(Deployment.id).where(
        Deployment.task_group_id == group.id, Deployment.active_key.is_not(None), Deployment.rollback_of.is_(None)
    )
    for deployment in tx.lock_all(Deployment, tx.session.scalars(own).all()):
        supersede_deployment(tx, deployment, by=By.PERSON)
    tx.enqueue(catalogue.RESTORE_RUNTIME, "platform", project_id=None)


# Task groups: a task leaves


def remove_member(tx: Transaction, group: TaskGroup, task_id: str, reason: str) -> bool:
    """End the task's membership; the caller decides what becomes of the group. Returns whether it was a member."""
    member = tx.session.get(GroupMember, (group.id, task_id))
    if member is None or member.removed_reason is not None:
        return False
    member.removed_reason, member.live_task_id, member.merged_sha = reason, None, None
    record_update(tx, group, "taskIds", task_id=task_id)
    tx.session.flush()
    return True


def take_out(tx: Transaction, group: TaskGroup, task_id: str, reason: str, *, by: By) -> bool:
    """The task leaves the group, approved if it was on staging; the rest goes on. Returns whether it was a member."""
    was_member = remove_member(tx, group, task_id, reason)
    if was_member:
        go_on_without(tx, group, by=by)
        _approve_staged(tx, [task_id])
    return was_member


def go_on_without(tx: Transaction, group: TaskGroup, *, by: By) -> None:
    """A task has left the group: rebuild it from the rest, or end it if no task is left.

    A failed group that loses a task to the platform stays failed until a person retries it.
    """
    if not end_if_empty(tx, group, by=by) and (group.state is not GroupState.FAILED or by is By.PERSON):
        restart_merge(tx, group, by)


def end_if_empty(tx: Transaction, group: TaskGroup, *, by: By) -> bool:
    """End a group without tasks: cancelled if a person took out the last one, else in conflict.

    Returns whether it was without tasks.
    """
    if member_task_ids(tx, group.id):
        return False
    tx.record(group.move_to(GroupState.CANCELLED if by is By.PERSON else GroupState.CONFLICT, by))
    _release_members(tx, group)
    return True


def note_problem(group: TaskGroup, task_id: str | None, kind: str, detail: str, files: Sequence[str] = ()) -> None:
    """Show a problem on the group. It replaces an earlier one of the same task and kind.

    task_id None: it concerns the group as a whole. files: paths in conflict.
    """
    forget_problem(group, task_id, kind)
    group.problems = [*group.problems, {"taskId": task_id, "kind": kind, "files": list(files), "detail": detail}]


def forget_problem(group: TaskGroup, task_id: str | None, kind: str) -> None:
    group.problems = [one for one in group.problems if (one["taskId"], one["kind"]) != (task_id, kind)]


def _was_deployed(tx: Transaction, group: TaskGroup) -> bool:
    query = select(Deployment.id).where(Deployment.task_group_id == group.id).limit(1)
    return tx.session.scalars(query).first() is not None


def _release_members(tx: Transaction, group: TaskGroup) -> None:
    """The group is over: its tasks may enter another one."""
    for member in tx.all(select(GroupMember).where(GroupMember.group_id == group.id)):
        member.live_task_id = None


def _approve_staged(tx: Transaction, task_ids: Iterable[str]) -> None:
    """Those of the tasks that were on staging are approved again."""
    for task in tx.lock_all(Task, task_ids):
        tasks_lifecycle.leave_staging(tx, task)


# Deployments


def start_deployment(tx: Transaction, deployment: Deployment) -> None:
    """The runtime is asked to run the version; the one before it still serves."""
    deployment.started_at = tx.now()
    tx.record(deployment.move_to(DeploymentState.IN_PROGRESS, By.PLATFORM))


def complete_deployment(tx: Transaction, deployment: Deployment, *, url: str, barrier: Barrier | None) -> None:
    """The version passed its health check and serves in place of the former one.

    The former deployment is rolled back if this one is its rollback, else superseded. barrier: what the version
    declares about going back, None if nothing.
    """
    for former in tx.all(select(Deployment).where(Deployment.live_key == deployment.environment_key)):
        if deployment.rollback_of == former.id:
            tx.record(former.move_to(DeploymentState.ROLLED_BACK, By.PLATFORM))
        else:
            supersede_deployment(tx, former)
    tx.session.flush()
    deployment.url, deployment.was_healthy, deployment.finished_at = url, True, tx.now()
    deployment.barrier = barrier
    tx.record(deployment.move_to(DeploymentState.COMPLETED, By.PLATFORM))
    tx.session.flush()


def fail_deployment(tx: Transaction, deployment: Deployment, *, code: str, reason: str) -> None:
    """The version never became healthy, or could not be brought in; a job restores what served before.

    reason: masked by the caller.
    """
    deployment.error, deployment.error_code, deployment.finished_at = reason[:4000], code, tx.now()
    tx.record(deployment.move_to(DeploymentState.FAILED, By.PLATFORM))
    tx.session.flush()
    tx.enqueue(catalogue.RESTORE_RUNTIME, "platform", project_id=None)


def supersede_deployment(tx: Transaction, deployment: Deployment, *, by: By = By.PLATFORM) -> None:
    """The deployment does not serve any more, or never will: it was replaced, taken down or cancelled.

    Its place is free for the next one. finished_at stays as it is where the deployment had ended before.
    """
    deployment.finished_at = deployment.finished_at or tx.now()
    tx.record(deployment.move_to(DeploymentState.SUPERSEDED, by))
    # The keys are unique, and SQLAlchemy inserts new rows before it updates old ones.
    tx.session.flush()
