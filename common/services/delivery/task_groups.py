"""Task groups as people use them: created, listed, deployed, retried, changed and cancelled."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from common.errors import Conflict, Invalid, NotFound
from common.events.catalogue import TaskGroupStatusChanged
from common.jobs import catalogue
from common.jobs.outbox import actor
from common.jobs.queue import live_job
from common.models.delivery import Deployment, GroupMember, TaskGroup
from common.models.journal import Job
from common.models.project import Project
from common.models.task import Task
from common.services.delivery.group_tests import FLAKY
from common.services.deployment import delivery_rules, deployments
from common.services.lifecycle import group_states
from common.services.lifecycle.group_membership import member_task_ids
from common.services.lifecycle.project_states import check_not_being_deleted
from common.services.project_settings.project_resources import location_of
from common.services.project_settings.red_results import forget_red_commit
from common.services.requests.access import Caller
from common.services.requests.listing import page_seen
from common.services.requests.paging import Order, Page, PageQuery
from common.transaction import Transaction, snapshot, transactional
from common.values.delivery.project_location import ProjectLocation
from common.values.names import new_id, numbered, release_branch
from common.values.states import (
    By,
    Environment,
    GroupState,
    ProjectState,
    Role,
    TaskState,
)
from common.values.testing.build_results import BuildResults

MOST_TASKS = 100
NEWEST_FIRST = Order(TaskGroup.created_at, TaskGroup.id, TaskGroup.project_id)
NAMED_NO_TESTS = "The project named no tests when the branch was merged."
STAGEABLE = frozenset({GroupState.PENDING, GroupState.MERGING, GroupState.MERGED})


@dataclass(frozen=True)
class GroupCheck:
    """A check of the release branch.

    status: running, passed, failed, flaky (one commit both passed and failed), or skipped if there are no tests.
    """

    name: str
    status: str
    message: str
    commit_sha: str | None


@dataclass(frozen=True)
class GroupView:
    """A group with everything its page shows. task_ids: its members, in the order of merging."""

    group: TaskGroup
    task_ids: Sequence[str]
    checks: Sequence[GroupCheck] = ()
    deployments: Sequence[Deployment] = ()


@dataclass(frozen=True)
class NewGroup:
    project_id: str
    task_ids: Sequence[str]
    target_branch: str = "staging"
    name: str | None = None
    notes: str | None = None
    accept_rolled_back: bool = False


@transactional
def create_task_group(tx: Transaction, new: NewGroup, *, by: Caller) -> GroupView:
    """Create a group of approved tasks of one project and start merging it.

    Tasks are merged in the given order, except that each comes after those it depends on. Invalid (projectId, taskIds)
    for what does not exist; Conflict for a task that is not approved or is in another live group, and where the
    delivery rules refuse.
    """
    try:
        project = by.require_in(tx, new.project_id, Role.MAINTAINER)
    except NotFound as error:
        raise Invalid("projectId", "No such project") from error
    if project.state is not ProjectState.ACTIVE:
        raise Conflict(f"project {project.id} is {project.state}; only an active one can deliver")
    wanted = delivery_rules.merge_order(tx, list(dict.fromkeys(new.task_ids)))
    tasks = {task.id: task for task in tx.lock_all(Task, wanted)}
    for task_id in wanted:
        _check_member(tx, tasks.get(task_id), task_id, project)
    accepted_at = tx.now() if new.accept_rolled_back else None
    delivery_rules.check_delivery(tx, project, list(tasks.values()), accepted_at)
    group_id = new_id()
    group = tx.add(
        TaskGroup(
            id=group_id, state_=GroupState.PENDING, project_id=project.id, name=new.name, notes=new.notes,
            target_branch=new.target_branch, branch=_free_branch(tx, project.id, release_branch(new.name, new.notes,
            group_id)), build=BuildResults(), problems=[], wants_staging=new.target_branch == "production",
            accepted_rolled_back_at=accepted_at, created_by=actor(), created_at=tx.now(),
        )
    )  # fmt: skip
    for position, task_id in enumerate(wanted):
        sha, tasks[task_id].later_push = tasks[task_id].approved_sha, None
        assert sha is not None
        tx.add(
            GroupMember(group_id=group.id, task_id=task_id, live_task_id=task_id, position=position, approved_sha=sha)
        )
    tx.record(group_created(group))
    if new.accept_rolled_back:
        group_states.record_update(tx, group, "acceptRolledBack")
    tx.enqueue(catalogue.MERGE_GROUP, group.id, project_id=project.id)
    return GroupView(group, wanted)


def group_created(group: TaskGroup) -> TaskGroupStatusChanged:
    return TaskGroupStatusChanged(
        feed=group.project_id, task_group_id=group.id, old_status=None, new_status=group.state_
    )


def _check_member(tx: Transaction, task: Task | None, task_id: str, project: Project) -> None:
    if task is None or task.project_id != project.id:
        raise Invalid("taskIds", f"There is no task {task_id} in this project")
    if task.state is not TaskState.APPROVED:
        raise Conflict(f"task {task.title!r} is {task.state}; only approved tasks can be grouped", field="taskIds")
    held = tx.find(select(GroupMember).where(GroupMember.live_task_id == task.id))
    if held is not None:
        holder = tx.get(TaskGroup, held.group_id)
        raise Conflict(f"task {task.title!r} is in group {holder.label} already", field="taskIds")


def _free_branch(tx: Transaction, project_id: str, wanted: str) -> str:
    number = 1
    while True:
        branch = numbered(wanted, number, longest=100)
        taken = select(TaskGroup).where(TaskGroup.project_id == project_id, TaskGroup.branch == branch)
        if tx.find(taken) is None:
            return branch
        number += 1


def list_task_groups(page: PageQuery, *, project_id: str | None, status: str | None, by: Caller) -> Page[GroupView]:
    """The groups that exist for the caller, newest first, each with its tasks alone."""
    query = select(TaskGroup)
    if status is not None:
        query = query.where(TaskGroup.state_ == status)
    with snapshot() as read:
        found = page_seen(read, query, NEWEST_FIRST, page, by=by, project_id=project_id)
        members: dict[str, list[str]] = {group.id: [] for group in found.items}
        rows = read.all(
            select(GroupMember)
            .where(GroupMember.group_id.in_(list(members)), GroupMember.removed_reason.is_(None))
            .order_by(GroupMember.position)
        )
        for row in rows:
            members[row.group_id].append(row.task_id)
    views = [GroupView(group, members[group.id]) for group in found.items]
    return found.of(views)


def read_task_group(group_id: str, *, by: Caller) -> GroupView:
    with snapshot() as read:
        group = read.get(TaskGroup, group_id)
        if group is None:
            raise NotFound(f"task group {group_id}")
        project = by.require_in(read, group.project_id, Role.VIEWER)
        ids = member_task_ids(read, group_id)
        waits = read.find(live_job(catalogue.MERGE_GROUP.name, group_id).where(Job.unavailable_since.is_not(None)))
        checks = _checks(group, project, waits.error if waits else None)
        return GroupView(group, ids, checks, deployments.deployments_of(read, group_id))


def place_of_group(group_id: str, *, by: Caller) -> ProjectLocation:
    """The place of the group's project, for reading its default branch before a deployment. Maintainers only."""
    with snapshot() as read:
        group = read.get(TaskGroup, group_id)
        if group is None:
            raise NotFound(f"task group {group_id}")
        return location_of(by.require_in(read, group.project_id, Role.MAINTAINER))


def _check_group(tx: Transaction, group: TaskGroup, accept_rolled_back: bool) -> None:
    if accept_rolled_back:
        group.accepted_rolled_back_at = tx.now()
    delivery_rules.check_group(tx, group)


@transactional
def deploy_to_staging(
    tx: Transaction, group_id: str, *, by: Caller, accept_rolled_back: bool = False
) -> tuple[GroupView, Job]:
    """Deploy the group to staging, now or as soon as it is merged. Returns it with the job that does so.

    Conflict in any later state, and (acceptRolledBack) if rolled-back changes would return and nobody accepted that.
    """
    group = _lock_in_kept_project(tx, group_id, by)
    if group.state in STAGEABLE:
        _check_group(tx, group, accept_rolled_back)
        if accept_rolled_back:
            group_states.record_update(tx, group, "acceptRolledBack")
    if group.state in {GroupState.PENDING, GroupState.MERGING}:
        if not group.wants_staging:
            group.wants_staging = True
            group_states.record_update(tx, group, "wantsStaging")
        job_id = tx.enqueue(catalogue.MERGE_GROUP, group.id, project_id=group.project_id)
    elif group.state is GroupState.MERGED:
        job_id = tx.enqueue(catalogue.DEPLOY, deploy_merged(tx, group).id, project_id=group.project_id)
    else:
        raise Conflict(f"task group {group.label} is {group.state}; it can't be deployed to staging")
    return view(tx, group), tx.get(Job, job_id)


def deploy_merged(tx: Transaction, group: TaskGroup) -> Deployment:
    """Create the deployment of the tested commit to staging. The group is merged and locked.

    Conflict while another deployment to staging is under way.
    """
    assert group.tested_sha is not None
    deployment = deployments.new_deployment(
        tx, tx.get(Project, group.project_id), Environment.STAGING, commit_sha=group.tested_sha, branch=group.branch,
        app_name=Environment.STAGING.value, task_group_id=group.id,
    )  # fmt: skip
    group_states.start_staging(tx, group)
    return deployment


@transactional
def deploy_to_production(
    tx: Transaction, group_id: str, *, default_head: str | None, by: Caller, accept_rolled_back: bool = False
) -> tuple[GroupView, Job]:
    """Deploy exactly the commit that runs on staging to production. Returns the group with the job that does so.

    Conflict unless the group is on staging, and (acceptRolledBack) if rolled-back changes would return and nobody
    accepted that.

    default_head: where the default branch is now. If that is not where the group was built from: Conflict, and the
    group is rebuilt (follow_up).
    """
    group = _lock_in_kept_project(tx, group_id, by)
    if group.state is not GroupState.STAGING:
        raise Conflict(f"task group {group.label} is {group.state}; only staging can go to production")
    _check_group(tx, group, accept_rolled_back)
    if default_head not in {group.base_sha, group.tested_sha}:
        raise Conflict(
            f"task group {group.label} was {group.state}, but the default branch has moved to {default_head}: "
            f"it is being merged and tested anew",
            follow_up=functools.partial(_rebuild, group_id, by=by),
        )
    staged = deployments.live_deployment(tx, group.project_id, Environment.STAGING)
    if staged is None or staged.commit_sha != group.tested_sha:
        raise Conflict(f"task group {group.label} is {group.state}, but staging runs another version now: retry it")
    deployment = deployments.new_deployment(
        tx, tx.get(Project, group.project_id), Environment.PRODUCTION, commit_sha=staged.commit_sha,
        branch=group.branch, app_name=Environment.PRODUCTION.value, task_group_id=group.id,
    )  # fmt: skip
    # A rollback may have ended since the check above. None can from here on, while this deployment is under way.
    _check_group(tx, group, accept_rolled_back)
    if accept_rolled_back:
        group_states.record_update(tx, group, "acceptRolledBack")
    group_states.start_production(tx, group)
    job_id = tx.enqueue(catalogue.DEPLOY, deployment.id, project_id=group.project_id)
    return view(tx, group), tx.get(Job, job_id)


@transactional
def _rebuild(tx: Transaction, group_id: str, *, by: Caller) -> None:
    """Merge, test and stage the group anew, from the default branch as it is now, if it still runs on staging."""
    group = lock_group(tx, group_id, by)
    if group.state is GroupState.STAGING:
        group_states.restart_merge(tx, group, By.PERSON)


@transactional
def retry_task_group(tx: Transaction, group_id: str, *, by: Caller) -> GroupView:
    """Merge and test a failed, merged or staged group again, from the default branch as it is now."""
    group = _lock_in_kept_project(tx, group_id, by)
    if group.state not in {GroupState.FAILED, GroupState.STAGING, GroupState.MERGED}:
        raise Conflict(f"task group {group.label} is {group.state}; it can't be retried")
    # If it is needed, the default branch is tested again.
    forget_red_commit(tx, group.project_id, group.base_sha)
    group_states.restart_merge(tx, group, By.PERSON, is_retry=True)
    return view(tx, group)


@transactional
def cancel_task_group(tx: Transaction, group_id: str, *, by: Caller) -> GroupView:
    """Cancel the group; its tasks are approved and free for another group."""
    group = lock_group(tx, group_id, by)
    group_states.cancel_group(tx, group)
    return view(tx, group)


@transactional
def remove_from_group(tx: Transaction, group_id: str, task_id: str, *, by: Caller) -> GroupView:
    """Take the task out of the group; it stays approved, and the rest is merged and tested again.

    Taking out the last task cancels the group. NotFound if the task is not in the group; Conflict while it is being
    deployed and once it is over.
    """
    group = lock_group(tx, group_id, by)
    removable = {GroupState.PENDING, GroupState.MERGING, GroupState.MERGED, GroupState.STAGING, GroupState.FAILED}
    if group.state not in removable:
        raise Conflict(f"task group {group.label} is {group.state}; tasks can't be taken out now")
    if not group_states.take_out(tx, group, task_id, "removed", by=By.PERSON):
        raise NotFound(f"task {task_id} in group {group.id}")
    # Pushes that were ignored while the group held the task count from now on.
    tx.enqueue(catalogue.WATCH_REPOSITORY, group.project_id, project_id=group.project_id)
    return view(tx, group)


def lock_group(tx: Transaction, group_id: str, by: Caller) -> TaskGroup:
    """The group, locked with its tasks. NotFound if the caller can't see it; Forbidden unless a maintainer."""
    project_id = tx.session.execute(select(TaskGroup.project_id).where(TaskGroup.id == group_id)).scalar_one_or_none()
    by.require_in(tx, project_id, Role.MAINTAINER)
    tx.lock_all(Task, member_task_ids(tx, group_id))
    return tx.lock(TaskGroup, group_id)


def _lock_in_kept_project(tx: Transaction, group_id: str, by: Caller) -> TaskGroup:
    """As lock_group; Conflict if the project is being deleted."""
    group = lock_group(tx, group_id, by)
    check_not_being_deleted(tx.get(Project, group.project_id))
    return group


def view(tx: Transaction, group: TaskGroup) -> GroupView:
    project = tx.get(Project, group.project_id)
    made = deployments.deployments_of(tx, group.id)
    return GroupView(group, member_task_ids(tx, group.id), _checks(group, project), made)


def _checks(group: TaskGroup, project: Project, waits_for: str | None = None) -> list[GroupCheck]:
    """The checks of the present attempt; empty before merging starts. waits_for: why the job waits, None if it runs."""
    statuses = group.build.statuses
    if statuses is None:
        return _tests_check(group, project, group.tested_sha, waits_for)
    says = f"Waiting: {waits_for}" if waits_for else statuses.says or "The repository's own CI is awaited."
    tests = _tests_check(group, project, group.head_sha, None)
    return [*tests, GroupCheck("statuses", statuses.status, says, group.head_sha)]


def _tests_check(group: TaskGroup, project: Project, tested_sha: str | None, waits_for: str | None) -> list[GroupCheck]:
    """tested_sha: the commit that passed the tests, None if none did."""
    is_flaky = group.build.verdict == FLAKY
    if tested_sha is not None and group.build.command is None:
        says = "The project names no tests." if project.test_command is None else NAMED_NO_TESTS
        return [GroupCheck("tests", "skipped", says, tested_sha)]
    if tested_sha is not None:
        if is_flaky:
            return [GroupCheck("tests", FLAKY, group.build.says or "", tested_sha)]
        return [GroupCheck("tests", "passed", "The tests passed on the merged branch.", tested_sha)]
    if group.state is GroupState.FAILED:
        status = FLAKY if is_flaky else "failed"
        return [GroupCheck("tests", status, group.error or "The branch could not be tested.", group.head_sha)]
    if group.state is GroupState.MERGING:
        message = f"Waiting: {waits_for}" if waits_for else "The branch is being merged and tested."
        return [GroupCheck("tests", "running", message, group.head_sha)]
    return []
