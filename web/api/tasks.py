"""Tasks: creating, reading and changing them, and the acts of people on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack, cast

from marshmallow import fields, validate

from common.services.activity import events as event_services
from common.services.requests.paging import PageQuery
from common.services.tasks import board as lists
from common.services.tasks import questions
from common.services.tasks import tasks as services
from common.services.tasks.task_details import NO_PARTS, TaskParts, read_again, read_details
from common.services.tasks.task_lists import list_project_tasks
from common.services.tasks.tasks import NewComment, NewTask
from common.values.states import Priority, Role, TaskState
from web.api.attachments import AttachmentSchema
from web.api.caps import CapsSchema, CapUseSchema
from web.api.comments import MOST_COMMENTS, CommentSchema, WriteCommentSchema, is_commit
from web.api.deployments import DeploymentSchema
from web.api.diffs import DiffSchema, read_diff
from web.api.events import MOST, EventsSchema, events_reply
from web.api.parking import ParkedSchema
from web.api.preview_pictures import PreviewPictureSchema
from web.api.project_schemas import DRIVER_NAMES, IS_MODEL, LimitsSchema
from web.api.runs import RunSchema
from web.api.spend import TaskSpendSchema
from web.api.task_groups import GroupOfTaskSchema
from web.api.task_rows import write_details, write_tasks
from web.api.verbatim_object import VerbatimObject
from web.http.auth import allow, bearer_token, current_caller
from web.http.blueprint import Blueprint, PagingSchema, QueryInteger, body, page_of, query, reply, single
from web.http.etags import with_content_etag, with_version_etag
from web.http.fields import (
    AgentId,
    Boolean,
    Choice,
    FieldOptions,
    Id,
    Label,
    Line,
    QuestionId,
    Schema,
    Text,
    Timestamp,
    not_blank,
)
from web.http.replies import Verbatim, writer_of
from web.http.sparse_schema import SparseSchema

tasks = Blueprint("tasks", __name__, url_prefix="/api")

_PRIORITIES = [priority.label for priority in Priority]


def _lines(most: int, longest: int, **options: Unpack[FieldOptions]) -> fields.List[str]:
    return fields.List(Line(longest), validate=validate.Length(max=most, error=f"At most {most}"), **options)


class TaskSchema(Schema):
    """A task in a list. rolledBackAt: when a rollback took it out of production; null if none did. parked: null unless
    it waits in the phase `parked`, or for its files. error: why it failed, or why its last run could not begin.
    """

    id = fields.String()
    project_id = fields.String()
    title = fields.String()
    description = fields.String()
    state = fields.String(attribute="state_", metadata={"enum": [str(state) for state in TaskState]})
    phase = fields.String(attribute="phase_", allow_none=True)
    parked = fields.Nested(ParkedSchema, allow_none=True)
    round = fields.Integer()
    priority = Label(Priority)
    assigned_agent_id = fields.String(allow_none=True)
    branch_name = fields.String()
    head_sha = fields.String(allow_none=True)
    pr_number = fields.Integer(allow_none=True)
    pr_url = fields.String(allow_none=True)
    preview_url = fields.String(allow_none=True)
    error = fields.String(allow_none=True)
    labels = fields.List(fields.String())
    created_at = Timestamp()
    rolled_back_at = Timestamp(allow_none=True)


class WrittenTaskSchema(TaskSchema):
    """A task with all of its own fields. heldBy: who works on its branch by hand; null if nobody does.

    laterPush: a commit that was pushed to the branch too late, so its group does not include it; null if there is none.
    """

    notes = fields.String(allow_none=True)
    required_capabilities = fields.List(fields.String())
    driver = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    limits = VerbatimObject(LimitsSchema)
    caps = VerbatimObject(CapsSchema)
    approved_sha = fields.String(allow_none=True)
    approved_by = fields.String(allow_none=True)
    may_change_test_setup = fields.Boolean()
    later_push = fields.String(allow_none=True)
    held_by = fields.String(allow_none=True)
    created_by = fields.String()
    updated_at = Timestamp()


class QuestionSchema(SparseSchema):
    """askedBy: `platform` if no agent asks. blocking: the agent waits for the answer. remindAt, deadlineAt: absent once
    they are over or if there is none. escalatedTo: the person who was asked after nobody had answered. respondedBy:
    `default` if nobody answered in time, and defaultResponse counts.
    """

    optional = frozenset({"response", "respondedAt", "respondedBy", "defaultResponse", "deadlineAt"}) | frozenset(
        {"remindAt", "escalatedTo", "askedBy"}
    )
    id = fields.String()
    question = fields.String()
    context = fields.String(allow_none=True)
    options = fields.List(fields.String())
    asked_at = Timestamp()
    status = fields.String(attribute="state")
    response = fields.String()
    responded_at = Timestamp()
    responded_by = fields.String()
    blocking = fields.Boolean(attribute="is_blocking")
    default_response = fields.String()
    deadline_at = Timestamp()
    remind_at = Timestamp()
    escalated_to = fields.String()
    asked_by = fields.String()


class TaskProjectSchema(Schema):
    id = fields.String()
    name = fields.String()
    gitea_repo_url = fields.String(attribute="repository_url")


class TaskCheckSchema(Schema):
    """log: the end of the output of the tests; of lost_tests, new_tests and changed_tests the tests, of coverage the
    lines that no test touches, of statuses the statuses, one a line; null for the others. code: why it failed; of one
    that passed or was skipped, a warning. facts: the numbers in the message, by name.
    """

    name = fields.String()
    status = fields.String()
    code = fields.String(allow_none=True)
    message = fields.String(allow_none=True)
    commit_sha = fields.String(allow_none=True)
    at = Timestamp()
    log = fields.String(attribute="output", allow_none=True)
    facts = fields.Dict(keys=fields.String(), values=fields.Integer())


class TaskDetailsSchema(WrittenTaskSchema):
    """A task with everything that belongs to it. checks: those of the newest run that was checked.

    proposals: how many follow-up tasks that its agents proposed wait for a decision. caps: its own; those that it lacks
    are the project's, then the platform's. capState: the caps that hold for it of which at least 80 % is used.
    pictures: of its preview, `before` first; a push deletes them. cloneLine: how its holder gets the branch; null for
    viewers, and unless somebody holds it. taskGroup: the group that delivers it; null if none does.
    """

    shows = "task"

    depends_on = fields.List(fields.String())
    questions = fields.List(fields.Nested(QuestionSchema))
    project = fields.Nested(TaskProjectSchema)
    runs = fields.List(fields.Nested(RunSchema))
    deployments = fields.List(fields.Nested(DeploymentSchema))
    checks = fields.List(fields.Nested(TaskCheckSchema))
    comments = fields.List(fields.Nested(CommentSchema))
    proposals = fields.Integer()
    attachments = fields.List(fields.Nested(AttachmentSchema))
    pictures = fields.List(fields.Nested(PreviewPictureSchema))
    spent = fields.Nested(TaskSpendSchema)
    cap_state = fields.List(fields.Nested(CapUseSchema))
    clone_line = fields.String(allow_none=True)
    task_group = fields.Nested(GroupOfTaskSchema, allow_none=True)


_write_parts = writer_of(
    TaskDetailsSchema(only=[name for name in TaskDetailsSchema._declared_fields if name in vars(TaskParts())])
)
_no_parts = cast("Mapping[str, object]", _write_parts(NO_PARTS))


class ListTasksSchema(PagingSchema):
    project_id = Id(load_default=None)
    state = Choice(TaskState, load_default=None)
    assigned_agent_id = AgentId(load_default=None)
    priority = Choice(_PRIORITIES, load_default=None)
    q = Text(200, load_default=None)
    label = Line(50, load_default=None)
    mine = Choice(("true", "false"), load_default="false")


class CreateTaskSchema(Schema):
    makes = NewTask
    read_only = frozenset(
        {
            "id", "state", "phase", "round", "assignedAgentId", "branchName", "headSha", "prNumber", "prUrl",
            "previewUrl", "createdAt", "createdBy", "updatedAt", "approvedSha", "approvedBy", "laterPush", "error",
            "rolledBackAt", "heldBy", "parked",
        }
    )  # fmt: skip
    project_id = Id(required=True)
    title = Line(200, required=True)
    description = Text(100_000)
    priority = Label(Priority)
    labels = _lines(20, 50)
    required_capabilities = _lines(20, 50)
    depends_on = fields.List(Id())
    driver = Choice(DRIVER_NAMES, allow_none=True)
    model = Line(100, allow_none=True, validate=IS_MODEL)
    limits = VerbatimObject(LimitsSchema)
    caps = VerbatimObject(CapsSchema)
    may_change_test_setup = Boolean()
    awaits_files = Boolean()


class UpdateTaskSchema(Schema):
    read_only = (CreateTaskSchema.read_only - {"state"}) | {"projectId", "awaitsFiles"}
    title = Line(200)
    description = Text(100_000)
    priority = Label(Priority)
    notes = Text(50_000, allow_none=True)
    state = Choice(TaskState)
    labels = _lines(20, 50)
    required_capabilities = _lines(20, 50)
    depends_on = fields.List(Id())
    driver = Choice(DRIVER_NAMES, allow_none=True)
    model = Line(100, allow_none=True, validate=IS_MODEL)
    limits = VerbatimObject(LimitsSchema)
    caps = VerbatimObject(CapsSchema)
    may_change_test_setup = Boolean()


class RespondSchema(Schema):
    question_id = QuestionId(required=True)
    response = Text(50_000, required=True, validate=not_blank)


class AnsweredQuestionSchema(Schema):
    id = fields.String()
    status = fields.String(attribute="state")
    responded_at = Timestamp()


class RespondedSchema(Schema):
    success = fields.Boolean()
    question = fields.Nested(AnsweredQuestionSchema)


class ApproveTaskSchema(Schema):
    """commitSha: the reviewed commit; the task is approved only if it is still the proven one."""

    commit_sha = fields.String(load_default=None, validate=is_commit())


class RejectTaskSchema(Schema):
    reason = Text(10_000, required=True, validate=not_blank)
    comments = fields.List(
        fields.Nested(WriteCommentSchema),
        load_default=list,
        validate=validate.Length(max=MOST_COMMENTS, error=f"At most {MOST_COMMENTS}"),
    )


class ListTaskEventsSchema(Schema):
    after_seq = QueryInteger(0, load_default=0)
    limit = QueryInteger(1, MOST, load_default=MOST)
    before_seq = QueryInteger(1, load_default=None)
    order = Choice(("oldest", "newest"), load_default="oldest")


@tasks.get("/tasks")
@allow(Role.VIEWER, project_in_query=True)
@query(ListTasksSchema)
@reply(page_of("tasks", TaskSchema, is_capped=True))
def list_tasks(page: PageQuery, *, mine: str, **wanted: str | None) -> object:
    """The tasks of all projects that the caller may see, newest first. q: with projectId a part of the title, in either
    case; over all projects the beginnings of words of the title. In both, also the last 4 to 12 digits of the id. mine:
    written by the caller. totalIsCapped: over all projects, the total is counted up to 10,000. With projectId: the
    `ETag` of an earlier reply in `If-None-Match` makes the reply a 304 while nothing has changed."""
    caller = current_caller()
    created_by_id = caller.user_id if mine == "true" else None
    chosen = lists.TaskFilter(**wanted, created_by_id=created_by_id)
    role_in_project = caller.role_in_project
    if role_in_project is None or role_in_project.role is None or chosen.q is not None or chosen.label is not None:
        return lists.list_tasks(chosen, page, by=caller)
    return with_version_etag(lambda: write_tasks(list_project_tasks(chosen, page)), of_user=created_by_id or "")


@tasks.post("/tasks")
@allow(Role.MEMBER)
@body(CreateTaskSchema)
@reply(single("task", WrittenTaskSchema), 201)
def create_task(body: NewTask) -> object:
    """Create a task. It starts when an agent is free and all tasks that it depends on are approved."""
    return services.create_task(body, by=current_caller())


@tasks.get("/tasks/<id:task_id>")
@allow(Role.VIEWER)
@reply(single("task", TaskDetailsSchema))
def read_task(task_id: str) -> object:
    caller, token = current_caller(), bearer_token()
    found = read_details(task_id, by=caller)
    parts = _no_parts if found.parts is NO_PARTS else cast("Mapping[str, object]", _write_parts(found.parts))
    seen = None if found.overview is None else (caller, found.overview)
    return with_content_etag(write_details(found, parts), lambda: read_again(token, task_id), seen)


@tasks.patch("/tasks/<id:task_id>")
@allow(Role.MEMBER)
@body(UpdateTaskSchema)
@reply(single("task", WrittenTaskSchema))
def update_task(task_id: str, **values: Unpack[services.TaskChanges]) -> object:
    """Change the fields that were sent. A `state` stands for the act that leads to it: approve, reject, cancel or
    retry."""
    return services.update_task(task_id, values, by=current_caller())


@tasks.post("/tasks/<id:task_id>/respond")
@allow(Role.MEMBER)
@body(RespondSchema)
@reply(RespondedSchema)
def respond(task_id: str, question_id: str, response: str) -> object:
    """Answer a question of the agent. The task continues once its last open question is answered."""
    return {"success": True, "question": questions.answer_question(task_id, question_id, response, by=current_caller())}


@tasks.post("/tasks/<id:task_id>/approve")
@allow(Role.MAINTAINER)
@body(ApproveTaskSchema)
@reply(single("task", WrittenTaskSchema))
def approve_task(task_id: str, commit_sha: str | None) -> object:
    """Approve the task's proven commit for delivery."""
    return services.approve_task(task_id, commit_sha=commit_sha, by=current_caller())


@tasks.post("/tasks/<id:task_id>/reject")
@allow(Role.MAINTAINER)
@body(RejectTaskSchema)
@reply(single("task", WrittenTaskSchema))
def reject_task(task_id: str, reason: str, comments: list[NewComment]) -> object:
    """Send the task back to its agent, which continues on the same branch and pull request."""
    return services.reject_task(task_id, reason=reason, comments=comments, by=current_caller())


@tasks.post("/tasks/<id:task_id>/cancel")
@allow(Role.MEMBER)
@reply(single("task", WrittenTaskSchema))
def cancel_task(task_id: str) -> object:
    """Cancel the task: its run ends, its pull request is closed and its preview is removed.

    A task in a group that is not being deployed yet can be cancelled by a maintainer; the rest of the group is built
    again.
    """
    return services.cancel_task(task_id, by=current_caller())


@tasks.post("/tasks/<id:task_id>/retry")
@allow(Role.MEMBER)
@reply(single("task", WrittenTaskSchema))
def retry_task(task_id: str) -> object:
    """Put a failed task back into the backlog."""
    return services.retry_task(task_id, by=current_caller())


@tasks.post("/tasks/<id:task_id>/comments")
@allow(Role.MEMBER)
@body(WriteCommentSchema)
@reply(single("comment", CommentSchema), 201)
def comment_on_task(task_id: str, body: NewComment) -> object:
    """Comment on the task. The next run receives the comment once."""
    return services.comment_on_task(task_id, body, by=current_caller())


@tasks.get("/tasks/<id:task_id>/diff")
@allow(Role.VIEWER)
@reply(DiffSchema)
def diff_task(task_id: str) -> object:
    """The changes on the task's branch; empty if nothing has been pushed yet."""
    return read_diff(services.read_task(task_id, by=current_caller()))


@tasks.get("/tasks/<id:task_id>/events")
@allow(Role.VIEWER)
@query(ListTaskEventsSchema)
@reply(EventsSchema)
def list_task_events(task_id: str, after_seq: int, limit: int, before_seq: int | None, order: str) -> Verbatim:
    """The task's events, oldest first, if `order` is not `newest`."""
    found = event_services.task_events(
        current_caller(),
        task_id,
        after_seq=after_seq,
        limit=limit,
        before_seq=before_seq,
        newest_first=order == "newest",
    )
    return events_reply(found, after_seq)
