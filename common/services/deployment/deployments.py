"""Deployments: one version brought to one environment, and rollbacks to older versions.

A deployment's row keeps, encrypted, everything that the runtime was told, so a rollback runs exactly what was healthy.
The newest completed deployment of an environment serves; a failed one does not change what serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from sqlalchemy import select

from common.errors import AnotherKey, Conflict, NotFound
from common.events.catalogue import RollbackRequested
from common.jobs import catalogue
from common.jobs.outbox import actor
from common.models.delivery import Deployment
from common.models.journal import Job
from common.models.project import Project
from common.models.task import Task
from common.secrets.masking import Mask
from common.secrets.sealing import check_key, seal, unseal
from common.services.deployment import versions
from common.services.lifecycle import group_states
from common.services.lifecycle.project_states import check_not_being_deleted
from common.services.project_settings.project_resources import app_of, location_of, needs_of, network_of
from common.services.project_settings.variables import environment_of, mask_of_deployment
from common.services.projects.projects import DEFAULT_HEALTH_SECONDS
from common.services.requests.access import Caller
from common.services.requests.listing import page_seen
from common.services.requests.paging import Order, Page, PageQuery
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.delivery.app import App, Health, Spec, Version
from common.values.delivery.project_location import ProjectLocation
from common.values.delivery.stored_spec import read_spec, write_spec
from common.values.egress import Network
from common.values.names import new_id, preview_app
from common.values.states import DeploymentState, Environment, Role

HEALTHY_BELOW = 400
"""A version that answers its health check with this HTTP status or a higher one is not healthy."""
NEWEST_FIRST = Order(Deployment.created_at, Deployment.id, Deployment.project_id)


@dataclass(frozen=True)
class AppDeployment:
    """A deployment and the app that it is a version of, for reading its logs. mask: removes secrets from them."""

    deployment: Deployment
    app: App
    mask: Mask


def spec_of(project: Project, environment: Environment) -> Spec:
    is_long_lived = environment is not Environment.PREVIEW
    seconds = project.health_seconds.get(environment.value, DEFAULT_HEALTH_SECONDS[environment.value])
    return Spec(
        project.start_command, environment_of(project, environment),
        Health(project.health_path, project.health_contains, HEALTHY_BELOW, float(seconds)),
        project.memory_limit, project.docker_image, project.replicas, project.port,
        needs_of(project, is_long_lived=is_long_lived, is_approved=is_long_lived),
        Network() if is_long_lived else network_of(project),
    )  # fmt: skip


def version_of(deployment: Deployment) -> Version:
    """What the runtime is told to run, as it was when the deployment was made. Its source is the job's to ask for."""
    return Version(deployment.id, deployment.commit_sha, spec=read_spec(unseal(deployment.spec_sealed)))


def without_health_period(version: Version) -> Version:
    """The version without its health period, as it was healthy before: one good answer is enough."""
    spec = version.spec
    return replace(version, spec=replace(spec, health=replace(spec.health, seconds=0)))


def restarted_version(deployment: Deployment) -> Version:
    """The version as the runtime is told to run it again, because it served until now."""
    return replace(version_of(deployment), was_healthy=True)


def has_other_settings(deployment: Deployment, project: Project) -> bool:
    """Whether the project's settings for the deployment's environment are others now than when it was made. False if
    they can't be opened.
    """
    try:
        present = write_spec(spec_of(project, deployment.environment))
        return version_of(deployment).spec != read_spec(cast("dict[str, object]", present))
    except AnotherKey:
        return False


def seal_spec(spec: Spec) -> str:
    """As a deployment's row keeps it."""
    return seal(write_spec(spec))


def new_deployment(
    tx: Transaction,
    project: Project,
    environment: Environment,
    *,
    commit_sha: str,
    branch: str,
    app_name: str,
    spec_sealed: str | None = None,
    **about: object,
) -> Deployment:
    """Create a pending deployment and enqueue the job that carries it out.

    spec_sealed: the encrypted spec of an earlier deployment; None for the project's present settings. about: other
    columns. Conflict if another deployment of the same app is pending or in progress.
    """
    deployment = Deployment(
        id=new_id(), state_=DeploymentState.PENDING, project_id=project.id, environment_=environment,
        app_name=app_name, commit_sha=commit_sha, branch=branch,
        spec_sealed=spec_sealed or seal_spec(spec_of(project, environment)),
        created_by=actor(), created_at=tx.now(), **about,
    )  # fmt: skip
    deployment.active_key = deployment.environment_key
    under_way = tx.find(select(Deployment).where(Deployment.active_key == deployment.environment_key))
    if under_way is not None:
        raise Conflict(
            f"the deployment of {under_way.commit_sha[:12]} to {environment} is {under_way.state}; wait for it to end",
            field="environment",
        )
    tx.add(deployment)
    tx.enqueue(catalogue.DEPLOY, deployment.id, project_id=project.id)
    return deployment


def start_preview(tx: Transaction, task: Task, project: Project) -> Deployment:
    """Start a preview of the task's proven commit. A preview of an older commit that is still starting is superseded.

    Safe to repeat: a preview of the same commit that is under way is returned.
    """
    app = preview_app(task.id)
    under_way = select(Deployment.id).where(Deployment.active_key == f"{project.id}:{app}")
    for deployment in tx.lock_all(Deployment, tx.session.scalars(under_way).all()):
        if deployment.commit_sha == task.head_sha:
            return deployment
        group_states.supersede_deployment(tx, deployment)
    assert task.head_sha is not None
    return new_deployment(
        tx, project, Environment.PREVIEW, commit_sha=task.head_sha, branch=task.branch_name, app_name=app,
        task_id=task.id, expires_at=tx.now() + timedelta(hours=project.preview_ttl_hours),
    )  # fmt: skip


def list_deployments(
    page: PageQuery, *, project_id: str | None, environment: str | None, status: str | None, by: Caller
) -> Page[Deployment]:
    query = select(Deployment)
    for column, value in ((Deployment.environment_, environment), (Deployment.state_, status)):
        if value is not None:
            query = query.where(column == value)
    with snapshot() as read:
        return page_seen(read, query, NEWEST_FIRST, page, by=by, project_id=project_id)


def read_deployment(deployment_id: str, *, by: Caller) -> AppDeployment:
    with snapshot() as read:
        deployment = read.get(Deployment, deployment_id)
        if deployment is None:
            raise NotFound(f"deployment {deployment_id}")
        location = location_of(by.require_in(read, deployment.project_id, Role.VIEWER))
        return AppDeployment(deployment, app_of(location, deployment.app_name), mask_of_deployment(read, deployment))


def read_live_deployment(deployment_id: str, *, by: Caller) -> AppDeployment:
    """Like read_deployment, but Conflict unless the deployment is live and has a URL."""
    shown = read_deployment(deployment_id, by=by)
    deployment = shown.deployment
    if deployment.live_key is None or deployment.url is None:
        raise Conflict(
            f"the deployment of {deployment.commit_sha[:12]} is {deployment.state}; only a live one can be visited"
        )
    return shown


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do. target: the deployment whose version would serve; None if there is none.

    reason: why it can't be done now; None if it can. commits: the versions that it would take back, oldest first.
    tasks: those whose changes would leave the environment, in the order of delivery. live: what serves now.
    """

    location: ProjectLocation
    live: Deployment
    target: Deployment | None
    reason: str | None
    commits: Sequence[str]
    tasks: Sequence[Task]


@transactional
def plan_rollback(tx: Transaction, deployment_id: str, *, to_deployment_id: str | None, by: Caller) -> RollbackPlan:
    """What `rollback_deployment` would do with the same arguments. Changes nothing."""
    live = tx.session.get(Deployment, deployment_id)
    location = location_of(by.require_in(tx, live.project_id if live else None, Role.MAINTAINER))
    if live is None:
        raise NotFound(f"deployment {deployment_id}")
    try:
        target = _target(tx, _rolled_back(live), to_deployment_id)
    except Conflict as refused:
        return RollbackPlan(location, live, None, refused.message, [], [])
    ids = versions.tasks_between(tx, target, live)
    found = {task.id: task for task in tx.all(select(Task).where(Task.id.in_(ids)))}
    blocked = versions.blocked(tx, target)
    reason = None if blocked is None else _is_blocked(live, target, blocked)
    commits = versions.commits_between(tx, target, live)
    return RollbackPlan(location, live, target, reason, commits, [found[id_] for id_ in ids])


@transactional
def rollback_deployment(
    tx: Transaction, deployment_id: str, *, to_deployment_id: str | None, by: Caller
) -> tuple[Deployment, Job, list[str]]:
    """Deploy an older healthy version again. Returns the new deployment, its job, and the ids of the tasks whose
    changes leave the environment.

    to_deployment_id: any deployment of the same environment that was once healthy; None: the newest one that was not
    rolled back. Conflict unless deployment_id is live, or if a later version declares that the target is out of reach,
    or if the project is being deleted.
    """
    project_id = tx.session.execute(
        select(Deployment.project_id).where(Deployment.id == deployment_id)
    ).scalar_one_or_none()
    project = by.require_in(tx, project_id, Role.MAINTAINER)
    check_not_being_deleted(project)
    live = _rolled_back(tx.lock(Deployment, deployment_id))
    target = _target(tx, live, to_deployment_id)
    blocked = versions.blocked(tx, target)
    if blocked is not None:
        raise Conflict(_is_blocked(live, target, blocked))
    made, job_id = start_rollback(tx, project, live, target)
    return made, tx.get(Job, job_id), versions.tasks_between(tx, target, live)


def _rolled_back(live: Deployment) -> Deployment:
    """The same; Conflict unless it is one that can be rolled back."""
    if live.environment is Environment.PREVIEW:
        raise Conflict("this is a preview; only staging and production can be rolled back")
    if live.live_key is None:
        raise Conflict(
            f"version {live.commit_sha[:12]} on {live.environment} is {live.state}; only the live one can be "
            f"rolled back"
        )
    return live


def _is_blocked(live: Deployment, target: Deployment, reason: str) -> str:
    return f"{live.environment} can't be rolled back to {target.commit_sha[:12]}: {reason}"


def start_rollback(
    tx: Transaction, project: Project, live: Deployment, target: Deployment, *, reason: str | None = None
) -> tuple[Deployment, str]:
    """Deploy the target's version in place of live. Returns the new deployment and the id of its job.

    reason: why the platform does it by itself, masked: the live version is failing, so one good answer of the older one
    is enough. None: a person asked for it. Raises AnotherKey, having done nothing, if the target can't be opened.
    """
    check_key(target.spec_sealed)
    sealed = target.spec_sealed if reason is None else seal_spec(without_health_period(version_of(target)).spec)
    made = new_deployment(
        tx, project, live.environment, commit_sha=target.commit_sha, branch=target.branch, app_name=live.app_name,
        spec_sealed=sealed, rollback_of=live.id, task_group_id=target.task_group_id,
    )  # fmt: skip
    tx.record(
        RollbackRequested(
            feed=project.id, deployment_id=made.id, environment=made.environment_, rollback_of=live.id,
            commit_sha=made.commit_sha, reason=reason,
        )
    )  # fmt: skip
    return made, tx.enqueue(catalogue.DEPLOY, made.id, project_id=project.id)


def _target(tx: Transaction, live: Deployment, wanted: str | None) -> Deployment:
    if wanted is None:
        before = versions.default_target(tx, live)
        if before is None:
            raise Conflict(
                f"{live.environment} has no version before {live.commit_sha[:12]} that was healthy and not rolled back "
                f"since"
            )
        return before
    target = tx.session.get(Deployment, wanted)
    if target is None or target.project_id != live.project_id or target.environment_ != live.environment_:
        raise NotFound(f"deployment {wanted}")
    if not target.was_healthy or target.id == live.id:
        raise Conflict(
            f"version {target.commit_sha[:12]} is {target.state}; only an older healthy one can be deployed again"
        )
    return target


def live_deployment(at: Transaction | Snapshot, project_id: str, environment: Environment) -> Deployment | None:
    """The deployment that serves in the environment now; None if none does."""
    return at.find(select(Deployment).where(Deployment.live_key == f"{project_id}:{environment.value}"))


def is_busy(tx: Transaction, project_id: str, environment: Environment) -> bool:
    """Whether a deployment to the environment is pending or in progress."""
    key = f"{project_id}:{environment.value}"
    return tx.find(select(Deployment).where(Deployment.active_key == key)) is not None


def deployments_of(at: Snapshot | Transaction, group_id: str) -> Sequence[Deployment]:
    """The group's deployments and the rollbacks to its versions, newest first."""
    query = (
        select(Deployment)
        .where(Deployment.task_group_id == group_id)
        .order_by(Deployment.created_at.desc(), Deployment.id.desc())
    )
    return list(at.session.scalars(query))
