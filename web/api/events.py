"""The durable record of everything that happened, in order."""

from __future__ import annotations

import json
from typing import Any

from flask import Response
from marshmallow import fields

from common.events import DURABLE
from common.services import events as services
from common.states import Role
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, QueryInteger, query, reply
from web.http.fields import Choice, Id, Schema, Timestamp

events = Blueprint("events", __name__, url_prefix="/api")

MOST = 500
_NAMES = [kind.name for kind in DURABLE]


class Event(Schema):
    """As it went out to sockets, and who did it."""

    event = fields.String()
    data = fields.Dict()
    project_id = fields.String()
    seq = fields.Integer()
    at = Timestamp()
    actor = fields.String()


class Events(Schema):
    """lastSeq: what to pass as afterSeq for what comes next."""

    events = fields.List(fields.Nested(Event))
    last_seq = fields.Integer()


class ListEvents(Schema):
    project_id = Id(load_default=None)
    after_seq = QueryInteger(0, load_default=0)
    type = Choice(_NAMES, load_default=None)
    limit = QueryInteger(1, MOST, load_default=100)


@events.get("/events")
@allow(Role.VIEWER)
@query(ListEvents)
@reply(Events)
def list_events(query: dict[str, Any]) -> Response:
    """Oldest first. Without projectId: what belongs to no project."""
    feed_id = query.pop("project_id") or services.PLATFORM
    found = services.list_events(who(), feed_id=feed_id, **query)
    return events_reply(found, query["after_seq"])


def events_reply(found: list[services.StoredEvent], after_seq: int) -> Response:
    """The events as they were sent, each with its actor: their text is put in, not parsed."""
    entries = [f'{event.text[:-1]},"actor":{json.dumps(event.actor, ensure_ascii=False)}}}' for event in found]
    last_seq = found[-1].seq if found else after_seq
    text = f'{{"events":[{",".join(entries)}],"lastSeq":{last_seq}}}'
    return Response(text.encode("utf-8", "replace"), content_type="application/json")
