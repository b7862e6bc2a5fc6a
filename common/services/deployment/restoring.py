"""Keeping the runtime as it should be: it runs every live deployment and nothing else.

A live version that does not stay up is rolled back, unless something else is at fault. If the rollback fails too, the
next one waits, longer each time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import select

from common.errors import AnotherKey
from common.events.catalogue import DeployFailing, DeployRecovered, DeployUrlChanged
from common.jobs.catalogue import Lease
from common.machine.waiting import growing_delay
from common.models.delivery import Deployment
from common.models.project import Project
from common.models.task import Task
from common.services.deployment import deployments, health_history, versions
from common.services.deployment.deployments import restarted_version, without_health_period
from common.services.lifecycle.task_states import record_update
from common.services.project_settings.project_resources import app_of, location_of
from common.services.project_settings.variables import mask_of_deployment, mask_or_sentence
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.delivery.app import MACHINE, App, Version
from common.values.delivery.health_check import HealthObservation, HealthState
from common.values.delivery.project_location import ProjectLocation
from common.values.states import DeploymentState, Environment, ProjectState

log = structlog.get_logger()

MANY_PROJECTS = 3
"""If live versions of this many projects fail at once, the machine is at fault and not the versions."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0
"""How long after a failed rollback the next one to the same version may begin by itself: doubled with each failure."""
FAILURES_HOURS = 24
"""Rollbacks that failed longer ago do not count."""
MOST_FAILURES = 10
"""How many of them are read: after fewer, the pause has reached its limit."""
NOT_TO_BLAME = "not rolled back, as the machine is at fault"
NEVER_STARTED = frozenset({"checkout_failed", "setup_failed", "service_missing", "service_failed"})
"""Codes of a live version whose program could not even be started again. It was healthy with the same commit, setup
command and databases. So something outside has changed, such as a package registry that is away, and an older version
needs it, too. The runtime tries to start it until it can."""
NOT_STARTED = "not rolled back, as it fails before its own program starts"


@dataclass(frozen=True)
class LiveApp:
    """A version that should run. is_held: it failed together with many others, so it is retried and not rolled back."""

    location: ProjectLocation
    app: App
    version: Version
    is_held: bool


@dataclass(frozen=True)
class FailingVersion:
    """A live version that does not stay up. code: the runtime's error code, None if it gave none."""

    deployment_id: str
    reason: str
    code: str | None


@dataclass(frozen=True)
class RestorePlan:
    """live: what should serve and is not being deployed now. orphans: what runs and should not."""

    live: tuple[LiveApp, ...]
    orphans: tuple[App, ...]


@transactional
def begin_restore(tx: Transaction, lease: Lease, running: set[tuple[str, str]]) -> RestorePlan:
    """Compare what runs with what should run.

    running: (namespace, app) of every app of the platform in the runtime. An environment with a deployment under way
    is left out: that deployment takes care of it. So is a version that was sealed with another secret key. Raises
    AnotherKey if all of them were.
    """
    wanted_rows = tx.all(
        select(Deployment).where(Deployment.live_key.is_not(None) | Deployment.active_key.is_not(None))
    )
    projects = _projects(tx, {row.project_id for row in wanted_rows}, {namespace for namespace, _name in running})
    rows = [row for row in wanted_rows if row.project_id in projects]
    busy = {row.active_key for row in rows if row.active_key}
    are_many = len({row.project_id for row in rows if row.live_key and _is_held(row)}) >= MANY_PROJECTS
    serving = [row for row in rows if row.live_key and row.live_key not in busy]
    live = _live_apps(projects, serving, {row.id for row in serving if are_many and _is_held(row)})
    wanted = {(projects[row.project_id].namespace, row.app_name) for row in rows}
    by_namespace = {project.namespace: project for project in projects.values()}
    orphans = tuple(
        app_of(location_of(by_namespace[namespace]), name)
        for namespace, name in sorted(running - wanted)
        if namespace in by_namespace
    )
    return RestorePlan(live, orphans)


def _projects(tx: Transaction, ids: Collection[str], namespaces: Collection[str]) -> dict[str, Project]:
    """Those that have one of the ids or namespaces, and are not being deleted, by their ids."""
    is_one = Project.id.in_(sorted(ids)) | Project.namespace.in_(sorted(namespaces))
    return {row.id: row for row in tx.all(select(Project).where(is_one, Project.state_ != ProjectState.DELETING))}


def _live_apps(
    projects: Mapping[str, Project], rows: Sequence[Deployment], held: Collection[str]
) -> tuple[LiveApp, ...]:
    live, unreadable = [], None
    for row in rows:
        try:
            live.append(_live_app(projects[row.project_id], row, is_held=row.id in held))
        except AnotherKey as error:
            log.warning("an app can't be restored", app=row.app_name, project=row.project_id, reason=str(error))
            unreadable = error
    if unreadable is not None and not live:
        raise unreadable
    return tuple(live)


def _live_app(project: Project, row: Deployment, *, is_held: bool) -> LiveApp:
    location = location_of(project)
    return LiveApp(location, app_of(location, row.app_name), without_health_period(restarted_version(row)), is_held)


def should_serve(deployment_id: str) -> bool:
    """Whether the version still serves, with no other deployment of its app under way. Asked before it is put back."""
    with snapshot() as read:
        row = read.get(Deployment, deployment_id)
        if row is None or row.live_key is None or _is_deleted(read, row.project_id):
            return False
        return read.find(select(Deployment).where(Deployment.active_key == row.live_key)) is None


def _is_deleted(read: Snapshot, project_id: str) -> bool:
    project = read.get(Project, project_id)
    return project is None or project.state is ProjectState.DELETING


@transactional
def record_restored(
    tx: Transaction, lease: Lease, failing: Sequence[FailingVersion], observations: Sequence[HealthObservation] = ()
) -> None:
    """Roll back each version that does not stay up, previews excepted. observations: what was seen, kept as its health.

    Versions of many projects that fail together are not rolled back, as the machine is at fault. Their error says so
    until they are well again or fail alone. Nor is a version that fails before its own program starts (NEVER_STARTED).
    A version whose rollback failed is rolled back again after a pause.
    An event says when a version's error is set first, and one when the version is well again, which ends the error.
    Addresses that changed are stored, also of previews.
    """
    _store_urls(tx, observations)
    health_history.record_health(tx, observations)
    found = {each.deployment_id: tx.session.get(Deployment, each.deployment_id) for each in failing}
    held = _failed_together(failing, found)
    _clear_recovered(tx, {seen.deployment_id for seen in observations if seen.state is HealthState.HEALTHY})
    for each in failing:
        row = found[each.deployment_id]
        if row is None or row.environment is Environment.PREVIEW:
            continue
        live = tx.lock(Deployment, each.deployment_id)
        if live.live_key is None or deployments.is_busy(tx, live.project_id, live.environment):
            continue
        reason = mask_or_sentence(mask_of_deployment, tx, live)(each.reason)
        if live.id in held:
            _note_failing(tx, live, f"{NOT_TO_BLAME}: {reason}", MACHINE)
            continue
        if each.code in NEVER_STARTED:
            _note_failing(tx, live, f"{NOT_STARTED}: {reason}", None)
            continue
        _note_failing(tx, live, reason, None)
        target = versions.default_target(tx, live)
        if target is not None and versions.blocked(tx, target) is None and not _has_to_wait(tx, live, target):
            _roll_back(tx, live, target, reason)
    tx.finish(lease)


def _roll_back(tx: Transaction, live: Deployment, target: Deployment, reason: str) -> None:
    try:
        deployments.start_rollback(tx, tx.get(Project, live.project_id), live, target, reason=reason[:4000])
    except AnotherKey as error:
        live.error = f"{live.error}; the rollback to {target.commit_sha[:12]} can't begin: {error}"[:4000]


def _store_urls(tx: Transaction, observations: Sequence[HealthObservation]) -> None:
    """Store the addresses that differ from those known: another host is set, or another program took an app's port."""
    urls = {seen.deployment_id: seen.url for seen in observations if seen.url is not None}
    rows = tx.all(select(Deployment).where(Deployment.id.in_(sorted(urls)), Deployment.live_key.is_not(None)))
    changed = [row for row in rows if row.url != urls[row.id]]
    if not changed:
        return
    tasks = {task.id: task for task in tx.lock_all(Task, [row.task_id for row in changed if row.task_id])}
    for live in tx.lock_all(Deployment, [row.id for row in changed]):
        if live.live_key is None:
            continue
        url, task = urls[live.id], tasks.get(live.task_id or "")
        if task is not None and task.preview_url == live.url:
            task.preview_url = url
            record_update(tx, task, "preview_url")
        live.url = url
        tx.record(
            DeployUrlChanged(
                feed=live.project_id, subject_task_id=live.task_id, deployment_id=live.id,
                environment=live.environment_, url=url,
            )
        )  # fmt: skip


def _note_failing(tx: Transaction, live: Deployment, error: str, code: str | None) -> None:
    was_well = live.error is None
    live.error, live.error_code = error[:4000], code
    if was_well:
        tx.record(
            DeployFailing(
                feed=live.project_id, deployment_id=live.id, environment=live.environment_, error=live.error,
            )
        )  # fmt: skip


def _has_to_wait(tx: Transaction, live: Deployment, target: Deployment) -> bool:
    """Whether rollbacks from live to the target's version failed and the next may not begin yet; live.error says so.

    Rollbacks that a person started count, too: the version did not run.
    """
    # None that ended much later than now: the clock may have been set back.
    soon = tx.now() + timedelta(seconds=FIRST_PAUSE_SECONDS)
    failed = tx.all(
        select(Deployment)
        .where(
            Deployment.project_id == live.project_id,
            Deployment.rollback_of == live.id,
            Deployment.commit_sha == target.commit_sha,
            Deployment.state_ == DeploymentState.FAILED,
            Deployment.finished_at.between(tx.now() - timedelta(hours=FAILURES_HOURS), soon),
        )
        .order_by(Deployment.finished_at.desc(), Deployment.id.desc())
        .limit(MOST_FAILURES)
    )
    if not failed or failed[0].finished_at is None:
        return False
    seconds = growing_delay(len(failed), first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)
    until = failed[0].finished_at + timedelta(seconds=seconds)
    if until <= tx.now():
        return False
    refused = f"the rollback to {target.commit_sha[:12]} failed, too; the next one begins after {until:%H:%M:%S} UTC"
    live.error = f"{live.error}; {refused}: {failed[0].error}"[:4000]
    return True


def _failed_together(failing: Sequence[FailingVersion], found: Mapping[str, Deployment | None]) -> set[str]:
    """Ids of the deployments that failed together: by the runtime's code, or versions of MANY_PROJECTS at once.

    A version that failed alone before is not counted among these.
    """
    held = {each.deployment_id for each in failing if each.code == MACHINE}
    fresh = {
        row.id: row.project_id
        for row in found.values()
        if row is not None and row.environment is not Environment.PREVIEW and (row.error is None or _is_held(row))
    }
    return held | set(fresh) if len(set(fresh.values())) >= MANY_PROJECTS else held


def _is_held(row: Deployment) -> bool:
    """Whether the live version failed together with many others when they were looked at last."""
    return row.error_code == MACHINE


def _clear_recovered(tx: Transaction, healthy: Collection[str]) -> None:
    """End the errors of those that were seen healthy. What only starts, or could not be looked at, is not well yet."""
    query = select(Deployment.id).where(
        Deployment.id.in_(sorted(healthy)), Deployment.live_key.is_not(None), Deployment.error.is_not(None)
    )
    for live in tx.lock_all(Deployment, tx.session.scalars(query).all()):
        live.error = live.error_code = None
        tx.record(DeployRecovered(feed=live.project_id, deployment_id=live.id, environment=live.environment_))
