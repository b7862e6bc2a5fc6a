"""Task groups: approved tasks that are merged, tested and deployed together."""

from __future__ import annotations

from marshmallow import fields, validate

from common.providers.forge import forge
from common.services.delivery import task_groups as services
from common.services.delivery.task_groups import MOST_TASKS, NewGroup
from common.services.requests.paging import PageQuery
from common.values.states import GroupState, Role
from web.api.deployments import DeploymentSchema, StartedJobSchema
from web.api.receipts import NamedReceiptSchema
from web.api.timed_reads import read_in_time
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, body, page_of, query, read_before, reply, single
from web.http.fields import Boolean, Choice, Id, Name, Schema, Text, Timestamp

task_groups = Blueprint("task_groups", __name__, url_prefix="/api")

TARGETS = ("staging", "production")
LONGEST_NOTES = 20_000


class ProblemSchema(Schema):
    """A problem of one task of the group, or of the whole group (taskId null).

    kind: conflict, takes_back (it and a task before it have the same commits, and one takes back what the other
    changed), tests_failed, dependency, pushed, closed or changes_requested (the task was removed); later_push (a later
    push to the task's branch is not included); flaky (one commit both failed and passed its tests) or base_is_red (the
    tests fail without any task), which concern no single task; status_failed, status_missing, status_pending or
    statuses_unreadable (the repository's own CI does not pass on the merged commit), which do not either. files: the
    paths that conflict or are taken back.
    detail: a description with the end of the log.
    """

    task_id = fields.String(data_key="taskId", attribute="taskId", allow_none=True)
    kind = fields.String()
    files = fields.List(fields.String())
    detail = fields.String()


class GroupCheckSchema(Schema):
    """name: tests, or statuses (of the repository's own CI, where the project requires any and the tests have passed).
    status: running, passed, failed, flaky (one commit both failed and passed) or skipped.
    """

    name = fields.String()
    status = fields.String()
    message = fields.String()
    commit_sha = fields.String(allow_none=True)


class ListedTaskGroupSchema(Schema):
    """stagingBranch: the release branch. headSha: its head. baseSha: the head of the default branch it is based on.

    rolledBackAt: when a rollback took it out of production; null if none did.
    """

    shows = "group"

    id = fields.String()
    project_id = fields.String()
    name = fields.String(allow_none=True)
    task_ids = fields.List(fields.String())
    target_branch = Choice(TARGETS)
    notes = fields.String(allow_none=True)
    status = Choice(GroupState, attribute="state")
    staging_branch = fields.String(attribute="branch")
    head_sha = fields.String(allow_none=True)
    base_sha = fields.String(allow_none=True)
    problems = fields.List(fields.Nested(ProblemSchema))
    error = fields.String(allow_none=True)
    created_by = fields.String()
    created_at = Timestamp()
    rolled_back_at = Timestamp(allow_none=True)


class TaskGroupSchema(ListedTaskGroupSchema):
    checks = fields.List(fields.Nested(GroupCheckSchema))
    deployments = fields.List(fields.Nested(DeploymentSchema))


class GroupOfTaskSchema(Schema):
    """The group that delivers a task. deliveredAt: when production first ran it; null until then. receipt: of that
    delivery; null until then, and for one of before there were receipts.
    """

    id = fields.String()
    name = fields.String(allow_none=True)
    staging_branch = fields.String(attribute="branch")
    status = Choice(GroupState, attribute="state")
    delivered_at = Timestamp(allow_none=True)
    receipt = fields.Nested(NamedReceiptSchema, allow_none=True)


class StartedDeploymentSchema(Schema):
    task_group = fields.Nested(TaskGroupSchema)
    job = fields.Nested(StartedJobSchema)


class CreateTaskGroupSchema(Schema):
    makes = NewGroup
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


class ListTaskGroupsSchema(PagingSchema):
    project_id = Id(load_default=None)
    status = Choice(GroupState, load_default=None)


class DeployGroupSchema(Schema):
    """acceptRolledBack: deploy even if this brings back changes that were rolled back."""

    accept_rolled_back = Boolean(load_default=False)


class RemoveTaskSchema(Schema):
    task_id = Id(required=True)


@task_groups.post("/task-groups")
@allow(Role.MAINTAINER)
@body(CreateTaskGroupSchema)
@reply(single("taskGroup", TaskGroupSchema), 201)
def create_task_group(body: NewGroup) -> object:
    """Group approved tasks of one project that are in no other live group. Merging starts at once."""
    return services.create_task_group(body, by=current_caller())


@task_groups.get("/task-groups")
@allow(Role.VIEWER)
@query(ListTaskGroupsSchema)
@reply(page_of("taskGroups", ListedTaskGroupSchema, is_capped=True))
def list_task_groups(page: PageQuery, project_id: str | None, status: str | None) -> object:
    return services.list_task_groups(page, project_id=project_id, status=status, by=current_caller())


@task_groups.get("/task-groups/<id:group_id>")
@allow(Role.VIEWER)
@reply(single("taskGroup", TaskGroupSchema))
def read_task_group(group_id: str) -> object:
    return services.read_task_group(group_id, by=current_caller())


@task_groups.post("/task-groups/<id:group_id>/deploy-staging")
@allow(Role.MAINTAINER)
@body(DeployGroupSchema)
@reply(StartedDeploymentSchema, 202)
def deploy_to_staging(group_id: str, accept_rolled_back: bool) -> object:
    """Deploy the group to staging: at once if it is merged, else as soon as it is.

    409 if that would bring back changes that were rolled back, or deliver a task before one that it depends on.
    """
    view, job = services.deploy_to_staging(group_id, by=current_caller(), accept_rolled_back=accept_rolled_back)
    return {"task_group": view, "job": job}


def _default_head(group_id: str) -> str | None:
    """The current head of the default branch of the group's project."""
    place = services.place_of_group(group_id, by=current_caller())
    repository = place.repository
    branch = place.default_branch
    where = f"{repository.owner}/{repository.name}"
    return read_in_time(lambda: forge().read_head(repository, branch), f"the head of {branch} in {where}")


@task_groups.post("/task-groups/<id:group_id>/deploy-production")
@allow(Role.MAINTAINER)
@read_before(_default_head)
@body(DeployGroupSchema)
@reply(StartedDeploymentSchema, 202)
def deploy_to_production(group_id: str, seen: str | None, accept_rolled_back: bool) -> object:
    """Deploy exactly the commit that runs on staging.

    409 if the default branch has moved since; the group is then merged and tested again. 409 if the deployment would
    bring back changes that were rolled back, or deliver a task before one that it depends on.
    """
    view, job = services.deploy_to_production(
        group_id, default_head=seen, by=current_caller(), accept_rolled_back=accept_rolled_back
    )
    return {"task_group": view, "job": job}


@task_groups.post("/task-groups/<id:group_id>/cancel")
@allow(Role.MAINTAINER)
@reply(single("taskGroup", TaskGroupSchema))
def cancel_task_group(group_id: str) -> object:
    """Cancel the group. Its tasks are approved again and can join another group."""
    return services.cancel_task_group(group_id, by=current_caller())


@task_groups.post("/task-groups/<id:group_id>/remove")
@allow(Role.MAINTAINER)
@body(RemoveTaskSchema)
@reply(single("taskGroup", TaskGroupSchema))
def remove_from_group(group_id: str, task_id: str) -> object:
    """Remove a task from the group; the other tasks are merged and tested again."""
    return services.remove_from_group(group_id, task_id, by=current_caller())


@task_groups.post("/task-groups/<id:group_id>/retry")
@allow(Role.MAINTAINER)
@reply(single("taskGroup", TaskGroupSchema))
def retry_task_group(group_id: str) -> object:
    """Merge and test the group again, from the current head of the default branch."""
    return services.retry_task_group(group_id, by=current_caller())
