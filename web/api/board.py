"""A project's board, whole: what the page would else ask for state by state and task by task."""

from __future__ import annotations

from marshmallow import fields

from common.services.requests.paging import MOST, PageQuery
from common.services.tasks import board as services
from common.services.tasks.board import TaskFilter
from common.values.states import Priority, Role, TaskState
from web.api.tasks import TaskSchema
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, QueryInteger, query, reply
from web.http.fields import AgentId, Choice, Id, Line, Schema, Text

board = Blueprint("board", __name__, url_prefix="/api")


class ColumnSchema(Schema):
    """nextCursor: for GET /tasks with this state; null if these are all."""

    state = Choice(TaskState)
    tasks = fields.List(fields.Nested(TaskSchema))
    total = fields.Integer()
    next_cursor = fields.String(allow_none=True)


class OverlapSchema(Schema):
    """Another open task. files: how many files both change."""

    task_id = fields.String()
    title = fields.String()
    files = fields.Integer()


class CardSchema(Schema):
    """question: the beginning of the oldest open one. askedBy: `platform` if the platform itself asks it, else null.
    step: what the agent at work did last. checks: of the newest run that was checked, how many are in each status.
    waitsFor: titles of the tasks that must be approved first. overlaps: open tasks that change the same files, those
    with the most of them first; at most 3.
    """

    task_id = fields.String()
    question = fields.String(allow_none=True)
    asked_by = fields.String(allow_none=True)
    step = fields.String(allow_none=True)
    cost_usd = fields.Float()
    checks = fields.Dict(keys=fields.String(), values=fields.Integer())
    waits_for = fields.List(fields.String())
    overlaps = fields.List(fields.Nested(OverlapSchema))


class BoardSchema(Schema):
    """columns: one for every state, in their usual order. cards: of the tasks in columns but for those in production
    and the cancelled.
    """

    columns = fields.List(fields.Nested(ColumnSchema))
    cards = fields.List(fields.Nested(CardSchema))


class ReadBoardSchema(Schema):
    """mine: only tasks that the caller wrote. limit: of each state."""

    project_id = Id(required=True)
    assigned_agent_id = AgentId(load_default=None)
    priority = Choice([priority.label for priority in Priority], load_default=None)
    q = Text(200, load_default=None)
    label = Line(50, load_default=None)
    mine = Choice(("true", "false"), load_default="false")
    limit = QueryInteger(1, MOST, load_default=50)


@board.get("/board")
@allow(Role.VIEWER)
@query(ReadBoardSchema)
@reply(BoardSchema)
def read_board(
    project_id: str,
    assigned_agent_id: str | None,
    priority: str | None,
    q: str | None,
    label: str | None,
    mine: str,
    limit: int,
) -> object:
    """A project's tasks by state, the newest of each, and what their cards say."""
    by = current_caller()
    wanted = TaskFilter(
        project_id, assigned_agent_id=assigned_agent_id, priority=priority, q=q, label=label,
        created_by_id=by.user_id if mine == "true" else None,
    )  # fmt: skip
    return services.read_board(wanted, PageQuery(limit), by=by)
