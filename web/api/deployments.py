"""Deployments: listing, logs, visiting previews, and rolling back."""

from __future__ import annotations

from marshmallow import fields

from common.providers.runtime import runtime
from common.services.deployment import deployments as services
from common.services.deployment.deployments import AppDeployment
from common.services.requests.paging import PageQuery
from common.values.log_line import LogLine
from common.values.states import DeploymentState, Environment, Role
from web.api.release_reads import count_commits
from web.api.timed_reads import read_in_time
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, body, never_replayed, page_of, query, reply, single
from web.http.fields import Choice, Id, Schema, Timestamp
from web.http.sparse_schema import SparseSchema

deployments = Blueprint("deployments", __name__, url_prefix="/api")

MOST_LINES = 500


class DeploymentSchema(SparseSchema):
    """url: its address, null until it is known. rollbackOf: the deployment that this one replaces in a rollback.

    version: which version of its environment it is, counted from 1; a rollback has that of the version it brings back.
    null for a preview, and until it is healthy.
    """

    optional = frozenset({"taskId", "taskGroupId", "rollbackOf", "error"})
    id = fields.String()
    project_id = fields.String()
    environment = Choice(Environment)
    status = Choice(DeploymentState, attribute="state")
    commit_sha = fields.String()
    branch = fields.String()
    version = fields.Integer(allow_none=True)
    task_id = fields.String()
    task_group_id = fields.String()
    url = fields.String(allow_none=True)
    rollback_of = fields.String()
    created_by = fields.String()
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)
    error = fields.String()


class StartedJobSchema(Schema):
    """The job that does the work; /api/jobs/:id shows its progress."""

    id = fields.String()
    kind = fields.String()
    state = fields.String()


class ListDeploymentsSchema(PagingSchema):
    project_id = Id(load_default=None)
    environment = Choice(Environment, load_default=None)
    status = Choice(DeploymentState, load_default=None)


class LogLineSchema(Schema):
    """at: when it was written; null for a line that an older AiWorker kept."""

    at = fields.String(allow_none=True)
    text = fields.String()


class DeploymentLogsSchema(Schema):
    """The last lines, oldest first. entries: the same lines with their times."""

    lines = fields.List(fields.String())
    entries = fields.List(fields.Nested(LogLineSchema))


class VisitSchema(Schema):
    """url: the address to open in a browser. For a guarded preview it works once and expires after a minute."""

    url = fields.String()


class RollBackSchema(Schema):
    """toDeploymentId: a deployment that was once healthy in that environment; by default the newest one that was not
    rolled back."""

    to_deployment_id = Id(load_default=None, allow_none=True)


class TakenBackTaskSchema(Schema):
    id = fields.String()
    title = fields.String()


class RollbackPlanSchema(Schema):
    """target: the deployment whose version would serve; null if there is none. reason: why it can't be done now; null
    if it can. commits, tasks: what it takes back, in the order of delivery; the commits are those of the versions.
    commitCount: how many commits of people it takes back in all; null if that is not known.
    """

    target = fields.Nested(DeploymentSchema, allow_none=True)
    reason = fields.String(allow_none=True)
    commits = fields.List(fields.String())
    commit_count = fields.Integer(allow_none=True)
    tasks = fields.List(fields.Nested(TakenBackTaskSchema))


class PlanRollbackSchema(Schema):
    to_deployment_id = Id(load_default=None)


class RolledBackSchema(Schema):
    success = fields.Boolean()
    rollback_deployment_id = fields.String()
    job = fields.Nested(StartedJobSchema)
    takes_back = fields.List(fields.String())


@deployments.get("/deployments")
@allow(Role.VIEWER)
@query(ListDeploymentsSchema)
@reply(page_of("deployments", DeploymentSchema, is_capped=True))
def list_deployments(page: PageQuery, project_id: str | None, environment: str | None, status: str | None) -> object:
    return services.list_deployments(
        page, project_id=project_id, environment=environment, status=status, by=current_caller()
    )


@deployments.get("/deployments/<id:deployment_id>")
@allow(Role.VIEWER)
@reply(single("deployment", DeploymentSchema))
def read_deployment(deployment_id: str) -> object:
    return services.read_deployment(deployment_id, by=current_caller()).deployment


@deployments.get("/deployments/<id:deployment_id>/logs")
@allow(Role.VIEWER)
@reply(DeploymentLogsSchema)
def read_deployment_logs(deployment_id: str) -> object:
    """The output of its processes; empty if none is kept."""
    shown = services.read_deployment(deployment_id, by=current_caller())
    found = read_in_time(lambda: _lines_of(shown), f"the log of deployment {deployment_id}")
    texts = shown.mask.lines([line.text for line in found])
    return {"lines": texts, "entries": [{"at": line.at, "text": text} for line, text in zip(found, texts, strict=True)]}


@deployments.post("/deployments/<id:deployment_id>/visit")
@allow(Role.VIEWER)
@never_replayed
@reply(VisitSchema)
def visit_deployment(deployment_id: str) -> object:
    """The address for this caller's browser: the deployment's url, or one that works once for a guarded preview."""
    shown = services.read_live_deployment(deployment_id, by=current_caller())
    return {"url": read_in_time(lambda: _entry_to(shown), f"the entry address of deployment {deployment_id}")}


@deployments.get("/deployments/<id:deployment_id>/rollback")
@allow(Role.MAINTAINER)
@query(PlanRollbackSchema)
@reply(single("rollback", RollbackPlanSchema))
def plan_rollback(deployment_id: str, to_deployment_id: str | None) -> object:
    """What a rollback of the deployment would do, to look at before it is started."""
    plan = services.plan_rollback(deployment_id, to_deployment_id=to_deployment_id, by=current_caller())
    target = plan.target.commit_sha if plan.target else None
    return {
        "target": plan.target, "reason": plan.reason, "commits": plan.commits, "tasks": plan.tasks,
        "commit_count": count_commits(plan.location, target, plan.live.commit_sha),
    }  # fmt: skip


@deployments.post("/deployments/<id:deployment_id>/rollback")
@allow(Role.MAINTAINER)
@body(RollBackSchema)
@reply(RolledBackSchema, 202)
def rollback_deployment(deployment_id: str, to_deployment_id: str | None) -> object:
    """Deploy an older healthy version again, with the settings that it had then. Only the live deployment can be
    rolled back."""
    made, job, task_ids = services.rollback_deployment(
        deployment_id, to_deployment_id=to_deployment_id, by=current_caller()
    )
    return {"success": True, "rollback_deployment_id": made.id, "job": job, "takes_back": task_ids}


def _lines_of(shown: AppDeployment) -> list[LogLine]:
    return runtime().app_logs(shown.app, shown.deployment.id, limit=MOST_LINES)


def _entry_to(shown: AppDeployment) -> str:
    return runtime().open_app(shown.app) or str(shown.deployment.url)
