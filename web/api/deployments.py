"""Deployments: what runs where, what it wrote, and going back to what ran before."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from common.providers.runtime import runtime
from common.services.delivery import deployments as services
from common.services.delivery.deployments import Placed
from common.states import DeploymentState, Environment, Role
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, body, many, never_replayed, one, page_reply, query, reply
from web.http.fields import Choice, Id, Schema, Timestamp
from web.http.provider_read import look
from web.http.sparse import Sparse

deployments = Blueprint("deployments", __name__, url_prefix="/api")

MOST_LINES = 500


class Deployment(Sparse):
    """url: where it answers, null until that is known. rollbackOf: the deployment that this one takes off."""

    optional = frozenset({"taskId", "taskGroupId", "rollbackOf", "error"})
    id = fields.String()
    project_id = fields.String()
    environment = Choice(Environment)
    status = Choice(DeploymentState, attribute="state")
    commit_sha = fields.String()
    branch = fields.String()
    task_id = fields.String()
    task_group_id = fields.String()
    url = fields.String(allow_none=True)
    rollback_of = fields.String()
    created_by = fields.String()
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)
    error = fields.String()


class StartedJob(Schema):
    """The job that carries it out; more of it at /api/jobs/:id."""

    id = fields.String()
    kind = fields.String()
    state = fields.String()


class ListDeployments(Paging):
    project_id = Id(load_default=None)
    environment = Choice(Environment, load_default=None)
    status = Choice(DeploymentState, load_default=None)


class DeploymentLogs(Schema):
    """The last lines, oldest first."""

    lines = fields.List(fields.String())


class Visit(Schema):
    """url: what to open in a browser, once and within a minute where the preview is guarded."""

    url = fields.String()


class RollBack(Schema):
    """toDeploymentId: any that was once healthy in that environment; unless said, the newest that nobody took back."""

    to_deployment_id = Id(load_default=None, allow_none=True)


class RolledBack(Schema):
    success = fields.Boolean()
    rollback_deployment_id = fields.String()
    job = fields.Nested(StartedJob)
    takes_back = fields.List(fields.String())


@deployments.get("/deployments")
@allow(Role.VIEWER)
@query(ListDeployments)
@reply(many("deployments", Deployment))
def list_deployments(query: dict[str, Any]) -> Any:
    return page_reply("deployments", services.list_deployments(**query, by=who()))


@deployments.get("/deployments/<id:deployment_id>")
@allow(Role.VIEWER)
@reply(one("deployment", Deployment))
def read_deployment(deployment_id: str) -> Any:
    return {"deployment": services.read_deployment(deployment_id, by=who()).deployment}


@deployments.get("/deployments/<id:deployment_id>/logs")
@allow(Role.VIEWER)
@reply(DeploymentLogs)
def read_deployment_logs(deployment_id: str) -> Any:
    """What its processes wrote; empty where nothing is kept."""
    placed = services.read_deployment(deployment_id, by=who())
    return {"lines": look(lambda: _lines_of(placed), f"the log of deployment {deployment_id}")}


@deployments.post("/deployments/<id:deployment_id>/visit")
@allow(Role.VIEWER)
@never_replayed
@reply(Visit)
def visit_deployment(deployment_id: str) -> Any:
    """An address that lets this caller's browser in: its url, or for a guarded preview one that is good only once."""
    placed = services.read_visited(deployment_id, by=who())
    return {"url": look(lambda: _entry_to(placed), f"the way into deployment {deployment_id}")}


@deployments.post("/deployments/<id:deployment_id>/rollback")
@allow(Role.MAINTAINER)
@body(RollBack)
@reply(RolledBack, 202)
def rollback_deployment(deployment_id: str, body: dict[str, Any]) -> Any:
    """A new deployment of an older healthy version, exactly as that one was told to run. Only from the live one."""
    made, job, task_ids = services.rollback_deployment(deployment_id, **body, by=who())
    return {"success": True, "rollback_deployment_id": made.id, "job": job, "takes_back": task_ids}


def _lines_of(placed: Placed) -> list[str]:
    return placed.mask.lines(runtime().app_logs(placed.app, placed.deployment.id, limit=MOST_LINES))


def _entry_to(placed: Placed) -> str:
    return runtime().open_app(placed.app) or str(placed.deployment.url)
