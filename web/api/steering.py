"""People steer a task's agent: write to it, let it go on, take its branch over by hand, and hand it back."""

from __future__ import annotations

from marshmallow import fields

from common.services.agent_api import steering as services
from common.services.conversation.messages import message_of
from common.services.tasks import parking
from common.services.tasks.tasks import read_task
from common.values.states import Role
from web.api.tasks import TaskDetailsSchema, WrittenTaskSchema
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, body, reply, single
from web.http.fields import Boolean, Schema, Text, Timestamp, not_blank

steering = Blueprint("steering", __name__, url_prefix="/api")


class WriteMessageSchema(Schema):
    """interrupt: the agent is to stop what it is doing and read this at once."""

    text = Text(10_000, required=True, validate=not_blank)
    interrupt = Boolean(load_default=False)


class MessageSchema(Schema):
    """seq: rises with each message of the task."""

    id = fields.String()
    seq = fields.Integer()
    text = fields.String()
    author = fields.String()
    interrupts = fields.Boolean()


class WrittenMessageSchema(MessageSchema):
    created_at = Timestamp()


class HandBackSchema(Schema):
    """note: for the agent that continues; may be left out."""

    note = Text(10_000, load_default="")


@steering.post("/tasks/<id:task_id>/messages")
@allow(Role.MEMBER)
@body(WriteMessageSchema)
@reply(single("message", WrittenMessageSchema), 201)
def write_message(task_id: str, text: str, interrupt: bool) -> object:
    """Write to the task's agent. It reads the message at its next turn; if none is at work, with the next run."""
    row = services.write_message(task_id, text, interrupts=interrupt, by=current_caller())
    return {**vars(message_of(row)), "created_at": row.created_at}


@steering.post("/tasks/<id:task_id>/resume")
@allow(Role.MEMBER)
@reply(single("task", WrittenTaskSchema))
def resume_task(task_id: str) -> object:
    """Let a parked task go on now, without waiting for its time; or begin, if it awaits files."""
    return parking.resume_task(task_id, by=current_caller())


@steering.post("/tasks/<id:task_id>/take-over")
@allow(Role.MEMBER)
@reply(single("task", TaskDetailsSchema))
def take_over(task_id: str) -> object:
    """Work on the task's branch by hand: its agent pushes what it has and stops, and no other one starts.

    `cloneLine` of the reply says how to get the branch. Proven work can be taken over by a maintainer.
    """
    services.take_over(task_id, by=current_caller())
    return read_task(task_id, by=current_caller())


@steering.post("/tasks/<id:task_id>/hand-back")
@allow(Role.MEMBER)
@body(HandBackSchema)
@reply(single("task", TaskDetailsSchema))
def hand_back(task_id: str, note: str) -> object:
    """Have an agent continue from what is on the branch, in a new round. Only for the holder and maintainers."""
    services.hand_back(task_id, note, by=current_caller())
    return read_task(task_id, by=current_caller())
