"""What a run fetches while it works: people's messages, and the files of its task."""

from __future__ import annotations

from marshmallow import fields

from common.services.agent_api import steering
from common.services.conversation.messages import PersonMessage
from common.services.tasks.attachments import read_attachment_of_run as stored_attachment
from web.api.attachments import MEDIA_TYPES, attachment_reply
from web.api.steering import MessageSchema
from web.http.auth import allow_run, current_run
from web.http.blueprint import Blueprint, QueryInteger, query, reply
from web.http.fields import Schema
from web.http.replies import Verbatim
from web.websocket.long_poll import Waiter

run_inputs = Blueprint("run_talk", __name__, url_prefix="/api/runner")

LONGEST_WAIT_SECONDS = 30
LARGEST_SEQ = 2**53


class ReadMessagesSchema(Schema):
    """after: the seq of the last message that arrived. wait: seconds."""

    after = QueryInteger(0, LARGEST_SEQ, load_default=0)
    wait = QueryInteger(0, LONGEST_WAIT_SECONDS, load_default=0)


class MessagesSchema(Schema):
    messages = fields.List(fields.Nested(MessageSchema))


@run_inputs.get("/runs/<id:run_id>/messages")
@allow_run()
@query(ReadMessagesSchema)
@reply(MessagesSchema)
def read_messages(run_id: str, after: int, wait: int) -> object:
    """People's messages after `after`, oldest first, as soon as there is one and at the latest after `wait` seconds.

    They count as delivered once a request has their seq as `after`; the same request again gets them again.
    """
    return {"messages": _messages(after, wait)}


def _messages(after: int, wait_seconds: int) -> list[PersonMessage]:
    """Wait without an open database session, and read before writing: most looks find nothing."""
    caller = current_run()
    if after and steering.has_acknowledged(caller, after):
        steering.acknowledge_messages(caller, after)
    if steering.has_messages(caller, after):
        return steering.take_messages(caller, after)
    if not wait_seconds:
        return []
    with Waiter(f"messages:{caller.task_id}", wait_seconds) as waiter:
        found = steering.has_messages(caller, after)
        while not found and waiter.wait():
            found = steering.has_messages(caller, after)
    return steering.take_messages(caller, after) if found else []


@run_inputs.get("/runs/<id:run_id>/attachments/<id:attachment_id>")
@allow_run()
@reply(None, also=MEDIA_TYPES)
def read_attachment_of_run(run_id: str, attachment_id: str) -> Verbatim:
    """The content of a file that people added to the task."""
    return attachment_reply(stored_attachment(current_run().task_id, attachment_id))
