"""Staging and production of a project side by side: what serves, what is on its way, and how healthy it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from common.models.delivery import Deployment, HealthSpan, Receipt, TaskGroup
from common.services.deployment.deployments import live_deployment
from common.services.deployment.health_history import spans_of
from common.services.deployment.receipts import receipt_of
from common.services.requests.access import Caller
from common.transaction import Snapshot, snapshot
from common.values.states import Environment, Role


@dataclass(frozen=True)
class EnvironmentView:
    """live: what serves. under_way: the deployment that is pending or in progress. Each None if there is none.

    group: the one whose version serves; None if it is none of a group's. receipt: of live; None if it has none. health:
    of the last 24 hours, oldest first.
    """

    environment: Environment
    live: Deployment | None
    under_way: Deployment | None
    group: TaskGroup | None
    receipt: Receipt | None
    health: Sequence[HealthSpan]


def read_environments(project_id: str, *, by: Caller) -> list[EnvironmentView]:
    """Production first. NotFound if the caller can't see the project."""
    with snapshot() as read:
        by.require_in(read, project_id, Role.VIEWER)
        return [_view(read, project_id, one) for one in (Environment.PRODUCTION, Environment.STAGING)]


def _view(read: Snapshot, project_id: str, environment: Environment) -> EnvironmentView:
    environment_key = f"{project_id}:{environment.value}"
    live = live_deployment(read, project_id, environment)
    under_way = read.find(select(Deployment).where(Deployment.active_key == environment_key))
    group = read.get(TaskGroup, live.task_group_id) if live is not None and live.task_group_id else None
    receipt = receipt_of(read, live.id) if live is not None else None
    return EnvironmentView(environment, live, under_way, group, receipt, spans_of(read, project_id, environment.value))
