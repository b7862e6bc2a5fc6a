"""The stored events of a feed, in order."""

from __future__ import annotations

import json

from marshmallow import fields

from common.events.catalogue import DURABLE
from common.services.activity import events as services
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, QueryInteger, query, reply
from web.http.fields import Choice, FeedId, Line, Schema, Timestamp
from web.http.replies import Verbatim

events = Blueprint("events", __name__, url_prefix="/api")

MOST = 500
_NAMES = [kind.name for kind in DURABLE]


class EventSchema(Schema):
    """An event as it was sent to sockets, and its actor."""

    event = fields.String()
    data = fields.Dict()
    project_id = fields.String()
    seq = fields.Integer()
    at = Timestamp()
    actor = fields.String()


class EventsSchema(Schema):
    """lastSeq: the value of afterSeq for the following events; where the newest come first, of beforeSeq."""

    events = fields.List(fields.Nested(EventSchema))
    last_seq = fields.Integer()


class ListEventsSchema(Schema):
    project_id = FeedId(load_default=None)
    after_seq = QueryInteger(0, load_default=0)
    type = Choice(_NAMES, load_default=None, attribute="name")
    limit = QueryInteger(1, MOST, load_default=100)
    before_seq = QueryInteger(1, load_default=None)
    actor = Line(140, load_default=None)
    order = Choice(("oldest", "newest"), load_default="oldest")


@events.get("/events")
@allow(Role.VIEWER)
@query(ListEventsSchema)
@reply(EventsSchema)
def list_events(
    project_id: str | None,
    after_seq: int,
    name: str | None,
    limit: int,
    before_seq: int | None,
    actor: str | None,
    order: str,
) -> Verbatim:
    """Oldest first, if `order` is not `newest`. Without projectId: the events of the feed `platform`."""
    feed_id = project_id or services.PLATFORM
    found = services.list_events(
        current_caller(), feed_id=feed_id, after_seq=after_seq, type=name, limit=limit, before_seq=before_seq,
        actor=actor, newest_first=order == "newest",
    )  # fmt: skip
    return events_reply(found, after_seq)


def events_reply(found: list[services.StoredEvent], after_seq: int) -> Verbatim:
    """The events as they were sent, each with its actor. Their stored text is inserted without being parsed."""
    entries = [f'{event.text[:-1]},"actor":{json.dumps(event.actor, ensure_ascii=False)}}}' for event in found]
    last_seq = found[-1].seq if found else after_seq
    text = f'{{"events":[{",".join(entries)}],"lastSeq":{last_seq}}}'
    return Verbatim(text.encode("utf-8", "replace"))
