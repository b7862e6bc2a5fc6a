"""What should run: every live deployment, and nothing else. A live version that keeps dying is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from common.models.delivery import Deployment
from common.models.project import Project
from common.services import deployments, versions
from common.services.deployments import Spec, open_spec
from common.services.places import Place, place_of
from common.services.variables import mask_of_deployment
from common.states import Environment, ProjectState
from common.transaction import Lease, Transaction, transactional


@dataclass(frozen=True)
class LiveApp:
    place: Place
    app: str
    deployment_id: str
    commit_sha: str
    spec: Spec


@dataclass(frozen=True)
class OrphanApp:
    place: Place
    app: str


@dataclass(frozen=True)
class RestorePlan:
    """live: what should serve and is under no deployment now. orphans: what runs and should not."""

    live: tuple[LiveApp, ...]
    orphans: tuple[OrphanApp, ...]


@transactional
def begin_restore(tx: Transaction, lease: Lease, running: set[tuple[str, str]]) -> RestorePlan:
    """running: (namespace, app) of everything the runtime has of ours.

    An environment with a deployment under way is left to that one.
    """
    projects = {
        project.id: project for project in tx.all(select(Project).where(Project.state_ != ProjectState.DELETING))
    }
    rows = [
        row
        for row in tx.all(
            select(Deployment).where(Deployment.live_key.is_not(None) | Deployment.active_key.is_not(None))
        )
        if row.project_id in projects
    ]
    busy = {row.active_key for row in rows if row.active_key}
    live = tuple(
        LiveApp(place_of(projects[row.project_id]), row.app_name, row.id, row.commit_sha, open_spec(row))
        for row in rows
        if row.live_key and row.live_key not in busy
    )
    wanted = {(projects[row.project_id].namespace, row.app_name) for row in rows}
    by_namespace = {project.namespace: project for project in projects.values()}
    orphans = tuple(
        OrphanApp(place_of(by_namespace[namespace]), name)
        for namespace, name in sorted(running - wanted)
        if namespace in by_namespace
    )
    return RestorePlan(live, orphans)


@transactional
def record_restored(tx: Transaction, lease: Lease, dying: Sequence[tuple[str, str]]) -> None:
    """dying: (deployment id, why) of live versions that do not stay up. All but previews go back by themselves."""
    for deployment_id, reason in dying:
        found = tx.session.get(Deployment, deployment_id)
        if found is None or found.environment is Environment.PREVIEW:
            continue
        live = tx.lock(Deployment, deployment_id)
        if live.live_key is None or deployments.is_busy(tx, live.project_id, live.environment):
            continue
        live.error = mask_of_deployment(tx, live)(reason)[:4000]
        target = versions.default_target(tx, live)
        if target is not None and versions.blocked(tx, target) is None:
            project = tx.get(Project, live.project_id)
            deployments.start_rollback(tx, project, live, target, has_gate=False)
    tx.finish(lease)
