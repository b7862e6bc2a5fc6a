"""A group as a release: what is in it, and what deploying it would change.

Reading only. What has to be read from the forge (commits, diffs, the default branch's head) is the caller's to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from common.errors import Conflict
from common.models.delivery import Deployment, GroupMember, TaskGroup
from common.models.task import Task
from common.services.delivery.changelog import Entry, write_changelog
from common.services.delivery.task_groups import STAGEABLE
from common.services.deployment import delivery_rules, deployments, versions
from common.services.lifecycle.group_membership import group_seen_by, member_tasks
from common.services.project_settings.project_resources import location_of
from common.services.requests.access import Caller
from common.transaction import Transaction, snapshot, transactional
from common.values.delivery.project_location import ProjectLocation
from common.values.states import Environment, GroupState, Role

OVER = frozenset({GroupState.PRODUCTION, GroupState.CANCELLED, GroupState.CONFLICT})
"""Nothing more is deployed of a group in one of these states."""


@dataclass(frozen=True)
class Release:
    """against: `production` if base_sha is what production serves; `base` if it is the default branch's head that the
    group was built on, as for a group that was delivered and where production serves nothing. base_sha, head_sha: None
    until the group has them. tasks: those that are in it, in the order of merging. changelog: Markdown.
    """

    group: TaskGroup
    location: ProjectLocation
    against: str
    base_sha: str | None
    head_sha: str | None
    tasks: Sequence[Task]
    changelog: str


@dataclass(frozen=True)
class Missing:
    """Why a deployment can't be made now. kind: for programs. detail: the sentence for people."""

    kind: str
    detail: str


@dataclass(frozen=True)
class DeploymentPlan:
    """What deploying the group to one environment would do.

    live: what serves there; None if nothing does. version: the number that this one would get. commit_sha: None until
    the group is merged and tested. missing: empty if it can be done now. accepts: what a person has to accept
    (acceptRolledBack) for it; None if nothing. brings_back: how many tasks that were rolled back return to production
    with it.
    """

    environment: Environment
    live: Deployment | None
    version: int
    commit_sha: str | None
    missing: Sequence[Missing]
    accepts: str | None
    brings_back: int = 0


@dataclass(frozen=True)
class ReleasePlan:
    """plans: for staging and production, as far as they are still to come. task_count: how many tasks they deliver.
    may_act: whether the caller's role lets them deploy.
    """

    location: ProjectLocation
    plans: Sequence[DeploymentPlan]
    task_count: int
    may_act: bool


def read_release(group_id: str, *, by: Caller) -> Release:
    """What is in the group. NotFound if the caller can't see it."""
    with snapshot() as read:
        group, project = group_seen_by(read, group_id, by)
        live = deployments.live_deployment(read, project.id, Environment.PRODUCTION)
        tasks = member_tasks(read, group)
    is_delivered = group.state is GroupState.PRODUCTION
    against = "base" if is_delivered or live is None else "production"
    base = live.commit_sha if live is not None and against == "production" else group.base_sha
    head = group.tested_sha or group.head_sha
    return Release(group, location_of(project), against, base, head, tasks, _changelog(group, tasks))


def _changelog(group: TaskGroup, tasks: Sequence[Task]) -> str:
    entries = [Entry(task.title, task.labels, task.pr_number, task.pr_url) for task in tasks]
    return write_changelog(group.label, group.notes, entries)


@transactional
def plan_release(tx: Transaction, group_id: str, *, default_head: str | None, by: Caller) -> ReleasePlan:
    """What the next deployments of the group would do, and what they still miss. Changes nothing.

    default_head: where the default branch is now; None if that is not known, and is not judged then.
    """
    group, project = group_seen_by(tx, group_id, by)
    plans: list[DeploymentPlan] = []
    if group.state not in OVER:
        rules, accepts = _rules(tx, group)
        if group.state in STAGEABLE | {GroupState.FAILED, GroupState.DEPLOYING_STAGING}:
            missing = _missing_for_staging(tx, group) or rules
            plans.append(_plan(tx, group, Environment.STAGING, missing, accepts))
        missing = _missing_for_production(tx, group, default_head) or rules
        plans.append(_plan(tx, group, Environment.PRODUCTION, missing, accepts))
    may_act = (by.role_in(tx, project) or Role.VIEWER) >= Role.MAINTAINER
    return ReleasePlan(location_of(project), plans, len(member_tasks(tx, group)), may_act)


def _plan(
    tx: Transaction, group: TaskGroup, environment: Environment, missing: Sequence[Missing], accepts: str | None
) -> DeploymentPlan:
    live = deployments.live_deployment(tx, group.project_id, environment)
    number = versions.highest_number(tx, group.project_id, environment.value) + 1
    back = _brought_back(tx, group, accepts) if environment is Environment.PRODUCTION else 0
    return DeploymentPlan(environment, live, number, group.tested_sha, missing, accepts, back)


def _brought_back(tx: Transaction, group: TaskGroup, accepts: str | None) -> int:
    """How many tasks that production does not run now it runs again, if the group is deployed there."""
    behind = versions.taken_back(tx, group.project_id)
    if behind is None or (accepts is None and not delivery_rules.brings_back(tx, group, behind)):
        return 0
    query = (
        select(func.count(GroupMember.task_id.distinct()))
        .join(TaskGroup, TaskGroup.id == GroupMember.group_id)
        .where(
            TaskGroup.id.in_(behind.group_ids), TaskGroup.reverted_at.is_(None), GroupMember.removed_reason.is_(None)
        )
    )
    return tx.session.scalars(query).one()


def _rules(tx: Transaction, group: TaskGroup) -> tuple[list[Missing], str | None]:
    """What the delivery rules refuse for good, and what they let a person accept."""
    try:
        delivery_rules.check_group(tx, group)
    except Conflict as refused:
        if refused.field == "acceptRolledBack":
            return [], refused.message
        return [Missing("dependency", refused.message)], None
    return [], None


def _missing_for_staging(tx: Transaction, group: TaskGroup) -> list[Missing]:
    if group.state is GroupState.FAILED:
        return [Missing("failed", "It failed. Build it again first.")]
    if group.state is GroupState.DEPLOYING_STAGING:
        return [Missing("under_way", "It is on its way there.")]
    if group.wants_staging:
        return [Missing("asked", "It goes there by itself once it is merged and tested.")]
    if group.state is GroupState.MERGED and deployments.is_busy(tx, group.project_id, Environment.STAGING):
        return [Missing("busy", "Another version is being deployed there. Wait for it to end.")]
    return []


def _missing_for_production(tx: Transaction, group: TaskGroup, default_head: str | None) -> list[Missing]:
    if group.state is GroupState.DEPLOYING_PRODUCTION:
        return [Missing("under_way", "It is on its way there.")]
    if group.state is not GroupState.STAGING:
        return [Missing("not_staged", "It has to run on staging first.")]
    if default_head is not None and default_head not in {group.base_sha, group.tested_sha}:
        return [Missing("moved", "The default branch has moved since it was built. Build it again.")]
    staged = deployments.live_deployment(tx, group.project_id, Environment.STAGING)
    if staged is None or staged.commit_sha != group.tested_sha:
        return [Missing("other_version", "Staging runs another version now. Build it again.")]
    if deployments.is_busy(tx, group.project_id, Environment.PRODUCTION):
        return [Missing("busy", "Another version is being deployed there. Wait for it to end.")]
    return []
