"""A caller's own API tokens, and the enrolment tokens with which agents register. The secret is shown once."""

from __future__ import annotations

from datetime import datetime

from marshmallow import fields

from common.services.people import tokens as services
from common.services.requests.paging import PageQuery
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, body, never_replayed, page_of, query, reply, single
from web.http.fields import Label, Name, Schema, Timestamp

tokens = Blueprint("tokens", __name__, url_prefix="/api")


class TokenSchema(Schema):
    id = fields.String()
    name = fields.String()
    role = Label(Role)
    created_at = Timestamp()
    expires_at = Timestamp(allow_none=True)
    last_used_at = Timestamp(allow_none=True)
    parent_id = fields.String(allow_none=True)


class NewTokenSchema(TokenSchema):
    shows = "row"
    token = fields.String()


class CreateTokenSchema(Schema):
    read_only = frozenset({"id", "createdAt", "lastUsedAt", "parentId", "token"})
    name = Name(required=True)
    role = Label(Role, allow_none=True)
    expires_at = Timestamp(allow_none=True)


class EnrolmentTokenSchema(Schema):
    id = fields.String()
    created_by = fields.String()
    created_at = Timestamp()
    expires_at = Timestamp(allow_none=True)
    last_used_at = Timestamp(allow_none=True)
    parent_id = fields.String(allow_none=True)


class NewEnrolmentTokenSchema(EnrolmentTokenSchema):
    shows = "row"
    token = fields.String()


class CreateEnrolmentTokenSchema(Schema):
    read_only = frozenset({"id", "createdBy", "createdAt", "lastUsedAt", "parentId", "token"})
    expires_at = Timestamp(allow_none=True)


@tokens.get("/tokens")
@allow(Role.VIEWER)
@query(PagingSchema)
@reply(page_of("tokens", TokenSchema))
def list_tokens(page: PageQuery) -> object:
    return services.list_api_tokens(current_caller(), page)


@tokens.post("/tokens")
@allow(Role.VIEWER)
@never_replayed
@body(CreateTokenSchema)
@reply(single("token", NewTokenSchema), 201)
def create_token(name: str, role: Role | None = None, expires_at: datetime | None = None) -> object:
    """Make a token with the caller's role or a lower one, valid for a year by default. Only this reply contains it."""
    return services.create_api_token(by=current_caller(), name=name, role=role, expires_at=expires_at)


@tokens.delete("/tokens/<id:token_id>")
@allow(Role.VIEWER)
@reply(None, 204)
def delete_token(token_id: str) -> None:
    """Revoke a token of the caller's, and all tokens that were made with it."""
    services.delete_api_token(token_id, by=current_caller())


@tokens.post("/agents/enrolment-tokens")
@allow(Role.ADMIN)
@never_replayed
@body(CreateEnrolmentTokenSchema)
@reply(single("enrolmentToken", NewEnrolmentTokenSchema), 201)
def create_enrolment_token(expires_at: datetime | None = None) -> object:
    """Make a token with which agents register until it expires, after 30 days by default."""
    return services.create_enrolment_token(by=current_caller(), expires_at=expires_at)


@tokens.get("/enrolment-tokens")
@allow(Role.ADMIN)
@query(PagingSchema)
@reply(page_of("enrolmentTokens", EnrolmentTokenSchema))
def list_enrolment_tokens(page: PageQuery) -> object:
    return services.list_enrolment_tokens(current_caller(), page)


@tokens.delete("/enrolment-tokens/<id:token_id>")
@allow(Role.ADMIN)
@reply(None, 204)
def delete_enrolment_token(token_id: str) -> None:
    """Revoke the token. Agents that registered with it stay; DELETE /agents/:id removes them."""
    services.delete_enrolment_token(token_id, by=current_caller())
