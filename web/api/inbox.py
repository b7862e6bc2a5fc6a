"""What waits for the caller."""

from __future__ import annotations

from marshmallow import fields

from common.services.tasks import inbox as services
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, query, reply
from web.http.fields import Choice, Id, Schema, Timestamp

inbox = Blueprint("inbox", __name__, url_prefix="/api")


class InboxItemSchema(Schema):
    """taskId: null for a live version, a release, a red default branch and a test; taskGroupId: null for all but a
    release; deploymentId: null for all but a live version. state: the task's or the group's, `failing` for a live
    version, or `flaky` for a test. questionId: null unless the kind is question. detail: the question, or why it failed
    or waits; null if there is none. askedBy: `platform` for a question that the platform itself asks.
    """

    kind = Choice(services.Need)
    project_id = fields.String()
    project_name = fields.String()
    task_id = fields.String(allow_none=True)
    task_group_id = fields.String(allow_none=True)
    deployment_id = fields.String(allow_none=True)
    question_id = fields.String(allow_none=True)
    title = fields.String()
    state = fields.String()
    detail = fields.String(allow_none=True)
    asked_by = fields.String(allow_none=True)
    since = Timestamp()


class InboxSchema(Schema):
    """isCut: there are more of a kind than are shown."""

    items = fields.List(fields.Nested(InboxItemSchema))
    total = fields.Integer()
    is_cut = fields.Boolean()


class ReadInboxSchema(Schema):
    project_id = Id(load_default=None)


@inbox.get("/inbox")
@allow(Role.VIEWER)
@query(ReadInboxSchema)
@reply(InboxSchema)
def read_inbox(project_id: str | None) -> object:
    """What waits for a decision that the caller's role allows: live versions of staging and production that fail,
    questions, releases, reviews, failed tasks, red default branches, tests that a rule for which the caller answers put
    into quarantine, tasks at a cap of spending, and tasks that have waited for their files for five minutes; of each
    kind the oldest first.
    """
    return services.read_inbox(by=current_caller(), project_id=project_id)
