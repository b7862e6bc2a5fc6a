"""Tasks: written, read, changed, and the acts by which people move them."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import fields, validate

from common.names import SHA_PATTERN
from common.services import events as event_services
from common.services.tasks import questions
from common.services.tasks import tasks as services
from common.services.tasks.tasks import NewComment, NewTask, TaskFilter, TaskView
from common.states import Priority, Role, TaskState
from web.api.deployments import Deployment
from web.api.diffs import Diff, read_diff
from web.api.events import MOST, Events, events_reply
from web.api.projects import Kept, Limits
from web.api.runs import Run
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, QueryInteger, body, many, one, page_reply, query, reply
from web.http.fields import AgentId, Choice, Id, Integer, Label, Line, QuestionId, Schema, Text, Timestamp
from web.http.sparse import Sparse

tasks = Blueprint("tasks", __name__, url_prefix="/api")

_PRIORITIES = [priority.label for priority in Priority]
_DRIVER = r"^[a-z0-9][a-z0-9_-]{0,39}\Z"


def _not_blank(text: str) -> None:
    if not text.strip():
        raise ma.ValidationError("Must not be blank")


def _lines(most: int, longest: int, **kwargs: Any) -> fields.List[Any]:
    return fields.List(Line(longest), validate=validate.Length(max=most, error=f"At most {most}"), **kwargs)


class Task(Schema):
    """As lists show it. rolledBackAt: since when a rollback keeps it out of production, null unless one does."""

    id = fields.String()
    project_id = fields.String()
    title = fields.String()
    description = fields.String()
    state = fields.String(attribute="state_", metadata={"enum": [str(state) for state in TaskState]})
    phase = fields.String(attribute="phase_", allow_none=True)
    round = fields.Integer()
    priority = Label(Priority)
    assigned_agent_id = fields.String(allow_none=True)
    branch_name = fields.String()
    head_sha = fields.String(allow_none=True)
    pr_number = fields.Integer(allow_none=True)
    pr_url = fields.String(allow_none=True)
    preview_url = fields.String(allow_none=True)
    labels = fields.List(fields.String())
    created_at = Timestamp()
    rolled_back_at = Timestamp(allow_none=True)


class WrittenTask(Task):
    """With all that was written into it, and what became of that.

    laterPush: the commit that was pushed to its branch too late, and that its group left out; null if there is none.
    """

    notes = fields.String(allow_none=True)
    required_capabilities = fields.List(fields.String())
    driver = fields.String(allow_none=True)
    limits = Kept(Limits)
    approved_sha = fields.String(allow_none=True)
    approved_by = fields.String(allow_none=True)
    later_push = fields.String(allow_none=True)
    error = fields.String(allow_none=True)
    created_by = fields.String()
    updated_at = Timestamp()


class Question(Sparse):
    optional = frozenset({"response", "respondedAt", "respondedBy"})
    id = fields.String()
    question = fields.String()
    context = fields.String(allow_none=True)
    options = fields.List(fields.String())
    asked_at = Timestamp()
    status = fields.String(attribute="state")
    response = fields.String()
    responded_at = Timestamp()
    responded_by = fields.String()


class TaskProject(Schema):
    id = fields.String()
    name = fields.String()
    gitea_repo_url = fields.String(attribute="repository_url")


class TaskCheck(Schema):
    """log: what the project's tests printed at the end; null for checks that run nothing."""

    name = fields.String()
    status = fields.String()
    code = fields.String(allow_none=True)
    message = fields.String(allow_none=True)
    commit_sha = fields.String(allow_none=True)
    at = Timestamp()
    log = fields.String(allow_none=True)


class Comment(Schema):
    """kind: comment, rejection, refusal, group. deliveredAt: null until a run has been given it."""

    id = fields.String()
    kind = fields.String()
    parent_id = fields.String(allow_none=True)
    author = fields.String()
    body = fields.String()
    path = fields.String(allow_none=True)
    line = fields.Integer(allow_none=True)
    created_at = Timestamp()
    delivered_at = Timestamp(allow_none=True)


class TaskDetails(WrittenTask):
    """With everything that belongs to it. checks: those of the newest run that was looked at."""

    depends_on = fields.List(fields.String())
    questions = fields.List(fields.Nested(Question))
    project = fields.Nested(TaskProject)
    runs = fields.List(fields.Nested(Run))
    deployments = fields.List(fields.Nested(Deployment))
    checks = fields.List(fields.Nested(TaskCheck))
    comments = fields.List(fields.Nested(Comment))


class ListTasks(Paging):
    project_id = Id(load_default=None)
    state = Choice(TaskState, load_default=None)
    assigned_agent_id = AgentId(load_default=None)
    priority = Choice(_PRIORITIES, load_default=None)
    q = Text(200, load_default=None)


class CreateTask(Schema):
    read_only = frozenset(
        {
            "id", "state", "phase", "round", "assignedAgentId", "branchName", "headSha", "prNumber", "prUrl",
            "previewUrl", "createdAt", "createdBy", "updatedAt", "approvedSha", "approvedBy", "laterPush", "error",
            "rolledBackAt",
        }
    )  # fmt: skip
    project_id = Id(required=True)
    title = Line(200, required=True)
    description = Text(100_000)
    priority = Label(Priority)
    labels = _lines(20, 50)
    required_capabilities = _lines(20, 50)
    depends_on = fields.List(Id())
    driver = Line(40, allow_none=True, validate=validate.Regexp(_DRIVER, error="Not a driver's name"))
    limits = Kept(Limits)


class UpdateTask(Schema):
    read_only = (CreateTask.read_only - {"state"}) | {
        "projectId", "requiredCapabilities", "dependsOn", "driver", "limits",
    }  # fmt: skip
    title = Line(200)
    description = Text(100_000)
    priority = Label(Priority)
    notes = Text(50_000, allow_none=True)
    state = Choice(TaskState)
    labels = _lines(20, 50)


class Respond(Schema):
    question_id = QuestionId(required=True)
    response = Text(50_000, required=True, validate=_not_blank)


class AnsweredQuestion(Schema):
    id = fields.String()
    status = fields.String(attribute="state")
    responded_at = Timestamp()


class Responded(Schema):
    success = fields.Boolean()
    question = fields.Nested(AnsweredQuestion)


class ApproveTask(Schema):
    """commitSha: what was looked at; the task is approved only if it is still there."""

    commit_sha = fields.String(
        load_default=None, validate=validate.Regexp(rf"^{SHA_PATTERN.pattern}\Z", error="Not a commit's 40 digits")
    )


class WriteComment(Schema):
    """path and line: where in the task's files; neither for a remark on the whole."""

    body = Text(10_000, required=True, validate=_not_blank)
    path = Line(1000, allow_none=True)
    line = Integer(1, 10_000_000, allow_none=True)

    @ma.validates_schema
    def _line_of_a_file(self, loaded: dict[str, Any], **_kwargs: Any) -> None:
        if loaded.get("line") is not None and loaded.get("path") is None:
            raise ma.ValidationError({"path": ["Required"]})

    @ma.post_load
    def _as_comment(self, loaded: dict[str, Any], **_kwargs: Any) -> NewComment:
        return NewComment(**loaded)


class RejectTask(Schema):
    reason = Text(10_000, required=True, validate=_not_blank)
    comments = fields.List(
        fields.Nested(WriteComment), load_default=list, validate=validate.Length(max=100, error="At most 100")
    )


class ListTaskEvents(Schema):
    after_seq = QueryInteger(0, load_default=0)
    limit = QueryInteger(1, MOST, load_default=MOST)


_OF_TASK = [field.attribute or name for name, field in WrittenTask().fields.items()]


def _details(view: TaskView) -> dict[str, Any]:
    return {**{name: getattr(view.task, name) for name in _OF_TASK}, **vars(view)}


@tasks.get("/tasks")
@allow(Role.VIEWER)
@query(ListTasks)
@reply(many("tasks", Task))
def list_tasks(query: dict[str, Any]) -> Any:
    """Newest first, of all projects that exist for the caller. q: a part of the title."""
    page = query.pop("page")
    return page_reply("tasks", services.list_tasks(TaskFilter(**query), page, by=who()))


@tasks.post("/tasks")
@allow(Role.MEMBER)
@body(CreateTask)
@reply(one("task", WrittenTask), 201)
def create_task(body: dict[str, Any]) -> Any:
    """Write a task. It starts when an agent is free and what it depends on is approved."""
    return {"task": services.create_task(NewTask(**body), by=who())}


@tasks.get("/tasks/<id:task_id>")
@allow(Role.VIEWER)
@reply(one("task", TaskDetails))
def read_task(task_id: str) -> Any:
    return {"task": _details(services.read_task(task_id, by=who()))}


@tasks.patch("/tasks/<id:task_id>")
@allow(Role.MEMBER)
@body(UpdateTask)
@reply(one("task", WrittenTask))
def update_task(task_id: str, body: services.TaskChanges) -> Any:
    """Change what the body names; a `state` is the act that leads there: approve, reject, cancel or retry."""
    return {"task": services.update_task(task_id, body, by=who())}


@tasks.post("/tasks/<id:task_id>/respond")
@allow(Role.MEMBER)
@body(Respond)
@reply(Responded)
def respond(task_id: str, body: dict[str, Any]) -> Any:
    """Answer a question of the agent's. With the last open one answered, the task goes on."""
    return {"success": True, "question": questions.answer_question(task_id, **body, by=who())}


@tasks.post("/tasks/<id:task_id>/approve")
@allow(Role.MAINTAINER)
@body(ApproveTask)
@reply(one("task", WrittenTask))
def approve_task(task_id: str, body: dict[str, Any]) -> Any:
    """Let the task's proven commit go out."""
    return {"task": services.approve_task(task_id, commit_sha=body["commit_sha"], by=who())}


@tasks.post("/tasks/<id:task_id>/reject")
@allow(Role.MAINTAINER)
@body(RejectTask)
@reply(one("task", WrittenTask))
def reject_task(task_id: str, body: dict[str, Any]) -> Any:
    """Send the task back to its agent; its branch and pull request go on."""
    return {"task": services.reject_task(task_id, reason=body["reason"], comments=body["comments"], by=who())}


@tasks.post("/tasks/<id:task_id>/cancel")
@allow(Role.MEMBER)
@reply(one("task", WrittenTask))
def cancel_task(task_id: str) -> Any:
    """Nobody wants it any more: its run ends, its pull request is closed, its preview goes.

    In a group that is not on its way to staging yet, it is taken out by a maintainer, and the rest is built anew.
    """
    return {"task": services.cancel_task(task_id, by=who())}


@tasks.post("/tasks/<id:task_id>/retry")
@allow(Role.MEMBER)
@reply(one("task", WrittenTask))
def retry_task(task_id: str) -> Any:
    """Put a failed task back into the backlog."""
    return {"task": services.retry_task(task_id, by=who())}


@tasks.post("/tasks/<id:task_id>/comments")
@allow(Role.MEMBER)
@body(WriteComment)
@reply(one("comment", Comment), 201)
def comment_on_task(task_id: str, body: NewComment) -> Any:
    """Remark on the task. The next run is given it, once."""
    return {"comment": services.comment_on_task(task_id, body, by=who())}


@tasks.get("/tasks/<id:task_id>/diff")
@allow(Role.VIEWER)
@reply(Diff)
def diff_task(task_id: str) -> Any:
    """What the task's branch changes; empty where nothing has been pushed yet."""
    return read_diff(services.read_task(task_id, by=who()))


@tasks.get("/tasks/<id:task_id>/events")
@allow(Role.VIEWER)
@query(ListTaskEvents)
@reply(Events)
def list_task_events(task_id: str, query: dict[str, Any]) -> Response:
    """The task's timeline, oldest first."""
    return events_reply(event_services.task_events(who(), task_id, **query), query["after_seq"])
