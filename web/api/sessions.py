"""A caller's own logins: where each is used, and ending them."""

from __future__ import annotations

from marshmallow import fields

from common.services.people import sessions as services
from common.services.requests.paging import PageQuery
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, page_of, query, reply
from web.http.fields import Schema, Timestamp

sessions = Blueprint("sessions", __name__, url_prefix="/api")


class OpenSessionSchema(Schema):
    id = fields.String()
    address = fields.String(allow_none=True)
    client = fields.String(allow_none=True)
    created_at = Timestamp()
    last_used_at = Timestamp(allow_none=True)
    expires_at = Timestamp()
    is_current = fields.Function(lambda login: login.id == current_caller().token_id, metadata={"type": "boolean"})


@sessions.get("/sessions")
@allow(Role.VIEWER)
@query(PagingSchema)
@reply(page_of("sessions", OpenSessionSchema))
def list_sessions(page: PageQuery) -> object:
    """The caller's own logins that have not ended, the newest first."""
    return services.list_sessions(current_caller(), page)


@sessions.delete("/sessions")
@allow(Role.VIEWER)
@reply(None, 204)
def end_other_sessions() -> None:
    """End all logins of the caller but the present one: their tokens are refused at once. Safe to repeat."""
    services.end_other_sessions(by=current_caller())


@sessions.delete("/sessions/<id:session_id>")
@allow(Role.VIEWER)
@reply(None, 204)
def end_session(session_id: str) -> None:
    """End one of the caller's own logins: its tokens are refused at once, and its sockets closed. Safe to repeat."""
    services.end_session(session_id, by=current_caller())
