"""A caller's own API tokens, and the tokens that let agents register. Each is shown once."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from common.services.people import tokens as services
from common.services.people.tokens import NewApiToken
from common.states import Role
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, body, many, never_replayed, one, page_reply, query, reply
from web.http.fields import Label, Name, Schema, Timestamp

tokens = Blueprint("tokens", __name__, url_prefix="/api")


class Token(Schema):
    id = fields.String()
    name = fields.String()
    role = Label(Role)
    created_at = Timestamp()
    expires_at = Timestamp(allow_none=True)
    last_used_at = Timestamp(allow_none=True)
    parent_id = fields.String(allow_none=True)


class NewToken(Token):
    token = fields.String()


class CreateToken(Schema):
    read_only = frozenset({"id", "createdAt", "lastUsedAt", "parentId", "token"})
    name = Name(required=True)
    role = Label(Role, allow_none=True)
    expires_at = Timestamp(allow_none=True)


class EnrolmentToken(Schema):
    id = fields.String()
    created_by = fields.String()
    created_at = Timestamp()
    expires_at = Timestamp(allow_none=True)
    last_used_at = Timestamp(allow_none=True)
    parent_id = fields.String(allow_none=True)


class NewEnrolmentToken(Schema):
    id = fields.String()
    expires_at = Timestamp()
    token = fields.String()


class CreateEnrolmentToken(Schema):
    read_only = frozenset({"id", "createdBy", "createdAt", "lastUsedAt", "parentId", "token"})
    expires_at = Timestamp(allow_none=True)


@tokens.get("/tokens")
@allow(Role.VIEWER)
@query(Paging)
@reply(many("tokens", Token))
def list_tokens(query: dict[str, Any]) -> Any:
    return page_reply("tokens", services.list_api_tokens(who(), **query))


@tokens.post("/tokens")
@allow(Role.VIEWER)
@never_replayed
@body(CreateToken)
@reply(one("token", NewToken), 201)
def create_token(body: dict[str, Any]) -> Any:
    """Make a token of the caller's role or below, good for a year unless said otherwise. It is shown here only."""
    return {"token": _shown_once(services.create_api_token(**body, by=who()))}


@tokens.delete("/tokens/<id:token_id>")
@allow(Role.VIEWER)
@reply(None, 204)
def delete_token(token_id: str) -> None:
    """End a token of the caller's, and all that were made with it."""
    services.delete_api_token(token_id, by=who())


@tokens.post("/agents/enrolment-tokens")
@allow(Role.ADMIN)
@never_replayed
@body(CreateEnrolmentToken)
@reply(one("enrolmentToken", NewEnrolmentToken), 201)
def create_enrolment_token(body: dict[str, Any]) -> Any:
    """Make a token with which agents register until it expires, 30 days from now unless said otherwise."""
    made = services.create_enrolment_token(**body, by=who())
    return {"enrolmentToken": {"id": made.row.id, "expires_at": made.row.expires_at, "token": made.token}}


@tokens.get("/enrolment-tokens")
@allow(Role.ADMIN)
@query(Paging)
@reply(many("enrolmentTokens", EnrolmentToken))
def list_enrolment_tokens(query: dict[str, Any]) -> Any:
    return page_reply("enrolmentTokens", services.list_enrolment_tokens(who(), **query))


@tokens.delete("/enrolment-tokens/<id:token_id>")
@allow(Role.ADMIN)
@reply(None, 204)
def delete_enrolment_token(token_id: str) -> None:
    """No agent registers with it from now on; those that did are removed by DELETE /agents/:id."""
    services.delete_enrolment_token(token_id, by=who())


def _shown_once(made: NewApiToken) -> dict[str, Any]:
    row = made.row
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "parent_id": row.parent_id,
        "token": made.token,
    }
