"""Rollouts: what the jobs that carry out a deployment, or take a preview down, read and record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Select, select

from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.delivery import Deployment, TaskGroup
from common.models.journal import Job
from common.models.project import Project
from common.models.task import Task
from common.services.deployment import versions
from common.services.deployment.deployments import restarted_version, version_of, without_health_period
from common.services.deployment.publishing import forget_preview, preview_ended
from common.services.deployment.receipt_contents import LiveVersionFacts
from common.services.deployment.receipts import issue_receipt
from common.services.deployment.rollback_effects import groups_moved_by, record_moved
from common.services.lifecycle import group_states
from common.services.lifecycle.group_membership import member_task_ids
from common.services.project_settings.project_resources import app_of, location_of
from common.services.project_settings.variables import mask_of_deployment
from common.services.proof.red_base import note_delivered
from common.services.upkeep.purging import purge
from common.settings import MOST_PREVIEWS, settings
from common.transaction import Transaction, snapshot, transactional
from common.values.delivery.app import App, Version
from common.values.delivery.project_location import ProjectLocation
from common.values.delivery.rollback_barrier import Barrier
from common.values.states import (
    ACTIVE_DEPLOYMENT,
    LIVE_JOB,
    By,
    DeploymentState,
    Environment,
    GroupState,
)

log = structlog.get_logger()

WAIT_FOR_PLACE_SECONDS = 2.0
"""How long a preview waits before it checks again whether an older one has made room."""


@dataclass(frozen=True)
class RolloutPlan:
    """What `deployment.deploy` carries out.

    advance_from: the commit that the default branch must be at; once the version is healthy, the branch is moved from
    there to commit_sha. None if this deployment does not move it (a preview, staging, a rollback). previous: id, commit
    and spec of the deployment that serves now, to be restored if the branch can't be moved, or if the runtime has
    forgotten it; None if none serves. is_previous_well: False if it is known to fail.
    older: commits that were healthy there before, at most versions.MOST_COMPARED; empty for a rollback, which declares
    nothing about rollbacks.
    started_seconds: how long ago it started.
    """

    location: ProjectLocation
    app: App
    environment: Environment
    version: Version
    advance_from: str | None = None
    previous: Version | None = None
    is_previous_well: bool = False
    older: tuple[str, ...] = ()
    started_seconds: float = 0.0


@transactional
def begin_rollout(tx: Transaction, lease: Lease) -> RolloutPlan | None:
    """What to run; a pending deployment starts. None if the deployment is over, or is a preview that has to wait."""
    deployment = _locked(tx, lease.subject_id)
    if deployment is None or deployment.state not in ACTIVE_DEPLOYMENT:
        return None
    project = tx.get(Project, deployment.project_id)
    if deployment.state is DeploymentState.PENDING:
        if deployment.environment is Environment.PREVIEW and not _has_room(tx, project, deployment):
            tx.again(lease, after_seconds=WAIT_FOR_PLACE_SECONDS)
            return None
        group_states.start_deployment(tx, deployment)
    live = tx.find(select(Deployment).where(Deployment.live_key == deployment.environment_key))
    location = location_of(project)
    return RolloutPlan(
        location, app_of(location, deployment.app_name), deployment.environment, version_of(deployment),
        _advance_from(tx, deployment), without_health_period(restarted_version(live)) if live else None,
        live is not None and live.error is None, _older_commits(tx, deployment),
        (tx.now() - (deployment.started_at or tx.now())).total_seconds(),
    )  # fmt: skip


def _older_commits(tx: Transaction, deployment: Deployment) -> tuple[str, ...]:
    """Commits that were delivered to its place before; none for a rollback, which declares nothing."""
    return () if deployment.rollback_of is not None else versions.compared(tx, deployment)


def _advance_from(tx: Transaction, deployment: Deployment) -> str | None:
    if deployment.environment is not Environment.PRODUCTION or deployment.rollback_of or not deployment.task_group_id:
        return None
    return tx.get(TaskGroup, deployment.task_group_id).base_sha


@transactional
def record_progress(tx: Transaction, lease: Lease, *, message: str, url: str, after_seconds: float) -> None:
    """The version is still starting: broadcast its progress, and look again after after_seconds."""
    deployment = tx.get(Deployment, lease.subject_id)
    body = {"deploymentId": deployment.id, "environment": deployment.environment_, "message": message}
    tx.notify(deployment.project_id, "deploy:progress", body)
    deployment.url = url
    tx.again(lease, after_seconds=after_seconds)


@transactional
def record_live(
    tx: Transaction, lease: Lease, *, url: str, barrier: Barrier | None = None, served: LiveVersionFacts | None = None
) -> None:
    """The version passed its health check and serves. The one before it is superseded, or rolled back by this one.

    barrier: what the version declares about rollbacks, None if nothing. served: for the receipt of a version in
    production. Nothing happens if the deployment is over.
    """
    found = tx.session.get(Deployment, lease.subject_id)
    if found is None or found.state not in ACTIVE_DEPLOYMENT:
        tx.finish(lease)
        return
    # Nothing else changes these groups until they are locked: a place has one deployment under way.
    moved = groups_moved_by(tx, found)
    deployment = _locked(tx, found.id, moved.ids)
    if deployment is None or deployment.state not in ACTIVE_DEPLOYMENT:
        tx.finish(lease)
        return
    deployment.version = versions.next_number(tx, deployment)
    group_states.complete_deployment(tx, deployment, url=url, barrier=barrier)
    record_moved(tx, deployment, moved)
    _apply_outcome(tx, deployment)
    issue_receipt(tx, deployment, served or LiveVersionFacts(), moved)
    tx.finish(lease)


@transactional
def record_failed(tx: Transaction, lease: Lease, *, code: str, reason: str, rebuild: bool = False) -> None:
    """The version never became healthy, or the default branch moved; what served before still does.

    rebuild: the default branch moved, so the group is merged, tested and staged again.
    """
    fail_rollout(lease.subject_id, reason, code, rebuild=rebuild)
    tx.finish(lease)


@transactional
def fail_rollout(
    tx: Transaction, deployment_id: str, reason: str, code: str = "given_up", *, rebuild: bool = False
) -> None:
    deployment = _locked(tx, deployment_id)
    if deployment is None or deployment.state not in ACTIVE_DEPLOYMENT:
        return
    group_states.fail_deployment(tx, deployment, code=code, reason=mask_of_deployment(tx, deployment)(reason))
    _apply_outcome(tx, deployment, rebuild=rebuild)


def _locked(tx: Transaction, deployment_id: str, other_groups: Sequence[str] = ()) -> Deployment | None:
    """Lock the deployment and every task and group that its outcome changes. None if it does not exist any more."""
    found = tx.session.get(Deployment, deployment_id)
    if found is None:
        return None
    group_ids = {*other_groups, *([found.task_group_id] if found.task_group_id else [])}
    task_ids = {found.task_id} if found.task_id else set()
    for group_id in group_ids:
        task_ids |= set(member_task_ids(tx, group_id))
    if task_ids:
        tx.lock_all(Task, task_ids)
    if group_ids:
        tx.lock_all(TaskGroup, group_ids)
    return tx.lock(Deployment, deployment_id)


def _apply_outcome(tx: Transaction, deployment: Deployment, *, rebuild: bool = False) -> None:
    if deployment.task_id and deployment.environment is Environment.PREVIEW:
        task = tx.lock(Task, deployment.task_id)
        preview_ended(tx, task, deployment)
    elif deployment.task_group_id and not deployment.rollback_of:
        _move_group(tx, tx.lock(TaskGroup, deployment.task_group_id), deployment, rebuild=rebuild)
    if deployment.environment is not Environment.PREVIEW:
        _wake_waiting_groups(tx, deployment.project_id)


def _move_group(tx: Transaction, group: TaskGroup, deployment: Deployment, *, rebuild: bool) -> None:
    is_live = deployment.state is DeploymentState.COMPLETED
    if group.state is GroupState.DEPLOYING_STAGING:
        if is_live:
            group_states.reach_staging(tx, group)
        else:
            group_states.fail_group(tx, group, deployment.error or "")
    elif group.state is GroupState.DEPLOYING_PRODUCTION:
        if is_live:
            group_states.reach_production(tx, group)
            note_delivered(tx, group.project_id, deployment.commit_sha)
        elif rebuild:
            group_states.restart_merge(tx, group, By.PLATFORM)
        else:
            group_states.return_to_staging(tx, group, deployment.error or "")


def _wake_waiting_groups(tx: Transaction, project_id: str) -> None:
    """An environment is free again: run the jobs of the groups that wait for it now."""
    waiting = tx.all(
        select(TaskGroup).where(
            TaskGroup.project_id == project_id,
            TaskGroup.state_ == GroupState.MERGED,
            TaskGroup.wants_staging.is_(True),
        )
    )
    for group in waiting:
        tx.enqueue(catalogue.MERGE_GROUP, group.id, project_id=project_id)


def _has_room(tx: Transaction, project: Project, preview: Deployment) -> bool:
    """Whether the project may have one more preview. If not, jobs take down as many of the oldest as needed."""
    cluster = settings().runtime.kubernetes
    most = cluster.most_previews(project.cpu_limit, project.memory_limit) if cluster else MOST_PREVIEWS
    others = select(Deployment).where(
        Deployment.project_id == project.id,
        Deployment.environment_ == Environment.PREVIEW,
        Deployment.app_name != preview.app_name,
    )
    live = _oldest_first(tx, others.where(Deployment.live_key.is_not(None)))
    starting = tx.all(others.where(Deployment.state_ == DeploymentState.IN_PROGRESS))
    # A preview that is being replaced is both live and starting: count its app once.
    places = len({one.app_name for one in [*live, *starting]})
    over = max(0, places + 1 - most)
    for deployment in live[:over]:
        tx.enqueue(catalogue.TAKE_DOWN, deployment.id, project_id=project.id)
    return over == 0


def _oldest_first(tx: Transaction, query: Select[Deployment]) -> list[Deployment]:
    return tx.all(query.order_by(Deployment.created_at, Deployment.id))


@transactional
def take_down_oldest_preview(tx: Transaction, project_id: str | None) -> None:
    """Take down the oldest preview, because tests, staging or production have no room.

    project_id: only previews of this project; None for all projects. One preview at a time: the next one goes only if
    there is still no room once the first is gone. Safe to repeat.
    """
    going = tx.find(select(Job).where(Job.kind == catalogue.TAKE_DOWN.name, Job.state_.in_(LIVE_JOB)))
    live = select(Deployment).where(
        Deployment.environment_ == Environment.PREVIEW, Deployment.live_key.is_not(None)
    )  # fmt: skip
    if project_id is not None:
        live = live.where(Deployment.project_id == project_id)
    oldest = _oldest_first(tx, live.limit(1)) if going is None else []
    for deployment in oldest:
        log.warning("a preview gives way", deployment=deployment.id, project=deployment.project_id, room_for=project_id)
        tx.enqueue(catalogue.TAKE_DOWN, deployment.id, project_id=deployment.project_id)


@transactional
def begin_take_down(tx: Transaction, lease: Lease) -> App | None:
    """The preview to take down; None if it is not live any more."""
    deployment = tx.session.get(Deployment, lease.subject_id)
    if deployment is None or deployment.live_key is None or deployment.environment is not Environment.PREVIEW:
        return None
    return app_of(location_of(tx.get(Project, deployment.project_id)), deployment.app_name)


@transactional
def record_taken_down(tx: Transaction, lease: Lease) -> None:
    """The preview was deleted; its task's link to it is removed."""
    deployment = _locked(tx, lease.subject_id)
    if deployment is not None and deployment.live_key is not None:
        group_states.supersede_deployment(tx, deployment)
        if deployment.task_id:
            forget_preview(tx, tx.lock(Task, deployment.task_id))
    tx.finish(lease)


def purge_previews() -> int:
    """Delete the rows of previews that ended before AIWORKER_KEEP_DAYS. Returns how many. Safe to repeat.

    Those that serve or are under way stay, however old.
    """
    with snapshot() as read:
        old = read.now() - timedelta(days=settings().retention.preview_days)
    return purge(
        Deployment.id, Deployment.environment_ == Environment.PREVIEW, Deployment.created_at < old,
        Deployment.live_key.is_(None), Deployment.active_key.is_(None), Deployment.finished_at < old,
        order=Deployment.created_at,
    )  # fmt: skip


@transactional
def take_expired_previews_down(tx: Transaction) -> int:
    """Enqueue a job for each live preview past its expires_at. Returns how many. Safe to repeat."""
    expired = tx.all(
        select(Deployment).where(
            Deployment.environment_ == Environment.PREVIEW,
            Deployment.live_key.is_not(None),
            Deployment.expires_at < tx.now(),
        )
    )
    for deployment in expired:
        tx.enqueue(catalogue.TAKE_DOWN, deployment.id, project_id=deployment.project_id)
    return len(expired)
