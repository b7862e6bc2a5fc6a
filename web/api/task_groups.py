"""Task groups: approved tasks merged and tested together, and taken through staging to production."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from common.providers.forge import forge
from common.services.delivery import task_groups as services
from common.services.delivery.task_groups import MOST_TASKS, GroupView, NewGroup
from common.states import GroupState, Role
from web.api.deployments import Deployment, StartedJob
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, body, first, many, one, page_reply, query, reply
from web.http.fields import Boolean, Choice, Id, Name, Schema, Text, Timestamp
from web.http.provider_read import look

task_groups = Blueprint("task_groups", __name__, url_prefix="/api")

TARGETS = ("staging", "production")
LONGEST_NOTES = 20_000


class Problem(Schema):
    """What happened to a task of the group, or to the group as a whole (taskId null).

    kind: conflict, tests_failed, dependency, pushed, closed or changes_requested (the task was taken out); later_push
    (a push came too late and is left out); flaky (one commit was both red and green) or base_is_red (the tests fail
    without any task), which blame no task. files: the paths that conflict. detail: what happened, with the end of the
    log.
    """

    task_id = fields.String(data_key="taskId", attribute="taskId", allow_none=True)
    kind = fields.String()
    files = fields.List(fields.String())
    detail = fields.String()


class GroupCheck(Schema):
    """status: running, passed, failed, flaky (one commit was both red and green) or skipped."""

    name = fields.String()
    status = fields.String()
    message = fields.String()
    commit_sha = fields.String(allow_none=True)


class ListedTaskGroup(Schema):
    """stagingBranch: the release branch. headSha, baseSha: its head, and the default branch's head it was built on.

    rolledBackAt: since when a rollback keeps it out of production, null unless one does.
    """

    id = fields.String()
    project_id = fields.String()
    name = fields.String(allow_none=True)
    task_ids = fields.List(fields.String())
    target_branch = Choice(TARGETS)
    notes = fields.String(allow_none=True)
    status = Choice(GroupState)
    staging_branch = fields.String()
    head_sha = fields.String(allow_none=True)
    base_sha = fields.String(allow_none=True)
    problems = fields.List(fields.Nested(Problem))
    error = fields.String(allow_none=True)
    created_by = fields.String()
    created_at = Timestamp()
    rolled_back_at = Timestamp(allow_none=True)


class TaskGroup(ListedTaskGroup):
    checks = fields.List(fields.Nested(GroupCheck))
    deployments = fields.List(fields.Nested(Deployment))


class StartedDeployment(Schema):
    task_group = fields.Nested(TaskGroup)
    job = fields.Nested(StartedJob)


class CreateTaskGroup(Schema):
    read_only = frozenset(
        {
            "id", "status", "stagingBranch", "headSha", "baseSha", "problems", "createdBy", "createdAt", "rolledBackAt",
        }
    )  # fmt: skip
    project_id = Id(required=True)
    task_ids = fields.List(
        Id(),
        required=True,
        validate=validate.Length(1, MOST_TASKS, error=f"Must have 1 to {MOST_TASKS} tasks"),
        error_messages={"invalid": "Must be a list of task ids"},
    )
    target_branch = Choice(TARGETS, load_default="staging")
    name = Name(load_default=None, allow_none=True)
    notes = Text(LONGEST_NOTES, load_default=None, allow_none=True)
    accept_rolled_back = Boolean(load_default=False)


class ListTaskGroups(Paging):
    project_id = Id(load_default=None)
    status = Choice(GroupState, load_default=None)


class DeployGroup(Schema):
    """acceptRolledBack: go on although what was rolled back comes back with it."""

    accept_rolled_back = Boolean(load_default=False)


class RemoveTask(Schema):
    task_id = Id(required=True)


@task_groups.post("/task-groups")
@allow(Role.MAINTAINER)
@body(CreateTaskGroup)
@reply(one("taskGroup", TaskGroup), 201)
def create_task_group(body: dict[str, Any]) -> Any:
    """Approved tasks of one project, each in no other live group. Merging starts at once."""
    return _reply(services.create_task_group(NewGroup(**body), by=who()))


@task_groups.get("/task-groups")
@allow(Role.VIEWER)
@query(ListTaskGroups)
@reply(many("taskGroups", ListedTaskGroup))
def list_task_groups(query: dict[str, Any]) -> Any:
    page, members = services.list_task_groups(**query, by=who())
    listed = [_listed(group, members[group.id]) for group in page.items]
    return page_reply("taskGroups", page) | {"taskGroups": listed}


@task_groups.get("/task-groups/<id:group_id>")
@allow(Role.VIEWER)
@reply(one("taskGroup", TaskGroup))
def read_task_group(group_id: str) -> Any:
    return _reply(services.read_task_group(group_id, by=who()))


@task_groups.post("/task-groups/<id:group_id>/deploy-staging")
@allow(Role.MAINTAINER)
@body(DeployGroup)
@reply(StartedDeployment, 202)
def deploy_to_staging(group_id: str, body: dict[str, Any]) -> Any:
    """To staging: at once if it is merged, else as soon as it is.

    409 where it would bring back what was rolled back, or a task before one that it depends on.
    """
    view, job = services.deploy_to_staging(group_id, **body, by=who())
    return {"task_group": _shown(view), "job": job}


def _default_head(group_id: str) -> str | None:
    """Where the default branch of the group's project is now."""
    place = services.place_of_group(group_id, by=who())
    repository = place.repository
    branch = place.default_branch
    where = f"{repository.owner}/{repository.name}"
    return look(lambda: forge().read_head(repository, branch), f"the head of {branch} in {where}")


@task_groups.post("/task-groups/<id:group_id>/deploy-production")
@allow(Role.MAINTAINER)
@first(_default_head)
@body(DeployGroup)
@reply(StartedDeployment, 202)
def deploy_to_production(group_id: str, seen: str | None, body: dict[str, Any]) -> Any:
    """Exactly what runs on staging. 409, and merged and tested anew, where the default branch has moved since.

    409, too, where it would bring back what was rolled back, or a task before one that it depends on.
    """
    view, job = services.deploy_to_production(group_id, default_head=seen, **body, by=who())
    return {"task_group": _shown(view), "job": job}


@task_groups.post("/task-groups/<id:group_id>/cancel")
@allow(Role.MAINTAINER)
@reply(one("taskGroup", TaskGroup))
def cancel_task_group(group_id: str) -> Any:
    """Its tasks are approved again and free for another group."""
    return _reply(services.cancel_task_group(group_id, by=who()))


@task_groups.post("/task-groups/<id:group_id>/remove")
@allow(Role.MAINTAINER)
@body(RemoveTask)
@reply(one("taskGroup", TaskGroup))
def remove_from_group(group_id: str, body: dict[str, Any]) -> Any:
    """Take a task out; the rest is merged and tested anew."""
    return _reply(services.remove_from_group(group_id, body["task_id"], by=who()))


@task_groups.post("/task-groups/<id:group_id>/retry")
@allow(Role.MAINTAINER)
@reply(one("taskGroup", TaskGroup))
def retry_task_group(group_id: str) -> Any:
    """Merge and test it anew, from the default branch as it is now."""
    return _reply(services.retry_task_group(group_id, by=who()))


def _reply(view: GroupView) -> dict[str, Any]:
    return {"taskGroup": _shown(view)}


def _shown(view: GroupView) -> dict[str, Any]:
    return _listed(view.group, view.task_ids) | {"checks": view.checks, "deployments": view.deployments}


def _listed(group: Any, task_ids: Any) -> dict[str, Any]:
    return {
        "id": group.id,
        "project_id": group.project_id,
        "name": group.name,
        "task_ids": task_ids,
        "target_branch": group.target_branch,
        "notes": group.notes,
        "status": group.state,
        "staging_branch": group.branch,
        "head_sha": group.head_sha,
        "base_sha": group.base_sha,
        "problems": group.problems,
        "error": group.error,
        "created_by": group.created_by,
        "created_at": group.created_at,
        "rolled_back_at": group.rolled_back_at,
    }
