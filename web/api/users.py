"""The people of this instance; for administrators only."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from common.services.people import accounts
from common.states import Role
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, body, many, never_replayed, one, page_reply, query, reply
from web.http.fields import Boolean, Label, Schema, Text, Timestamp

users = Blueprint("users", __name__, url_prefix="/api")


class User(Schema):
    id = fields.String()
    username = fields.String()
    role = Label(Role)
    is_active = fields.Boolean()
    created_at = Timestamp()


class CreateUser(Schema):
    read_only = frozenset({"id", "isActive", "createdAt"})
    username = Text(100, required=True)
    password = Text(accounts.LONGEST_PASSWORD, required=True)
    role = Label(Role, load_default=Role.MEMBER)


class UpdateUser(Schema):
    read_only = frozenset({"id", "username", "createdAt"})
    password = Text(accounts.LONGEST_PASSWORD)
    role = Label(Role)
    is_active = Boolean()


@users.get("/users")
@allow(Role.ADMIN)
@query(Paging)
@reply(many("users", User))
def list_users(query: dict[str, Any]) -> Any:
    return page_reply("users", accounts.list_users(who(), **query))


@users.post("/users")
@allow(Role.ADMIN)
@never_replayed
@body(CreateUser)
@reply(one("user", User), 201)
def create_user(body: dict[str, Any]) -> Any:
    return {"user": accounts.create_user(**body, by=who())}


@users.patch("/users/<id:user_id>")
@allow(Role.ADMIN)
@body(UpdateUser)
@reply(one("user", User))
def update_user(user_id: str, body: dict[str, Any]) -> Any:
    """A new password and a deactivation end the user's logins at once; a role holds from the next request."""
    return {"user": accounts.update_user(user_id, **body, by=who())}


@users.delete("/users/<id:user_id>")
@allow(Role.ADMIN)
@reply(None, 204)
def delete_user(user_id: str) -> None:
    accounts.delete_user(user_id, by=who())
