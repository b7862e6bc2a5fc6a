"""The users of this instance; for administrators only."""

from __future__ import annotations

from marshmallow import fields

from common.services.people import accounts
from common.services.requests.paging import PageQuery
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, body, never_replayed, page_of, query, reply, single
from web.http.fields import Boolean, Label, Schema, Text, Timestamp

users = Blueprint("users", __name__, url_prefix="/api")


class UserSchema(Schema):
    id = fields.String()
    username = fields.String()
    role = Label(Role)
    is_active = fields.Boolean()
    created_at = Timestamp()


class CreateUserSchema(Schema):
    read_only = frozenset({"id", "isActive", "createdAt"})
    username = Text(100, required=True)
    password = Text(accounts.LONGEST_PASSWORD, required=True)
    role = Label(Role, load_default=Role.MEMBER)


class UpdateUserSchema(Schema):
    read_only = frozenset({"id", "username", "createdAt"})
    password = Text(accounts.LONGEST_PASSWORD)
    role = Label(Role)
    is_active = Boolean()


@users.get("/users")
@allow(Role.ADMIN)
@query(PagingSchema)
@reply(page_of("users", UserSchema))
def list_users(page: PageQuery) -> object:
    return accounts.list_users(current_caller(), page)


@users.post("/users")
@allow(Role.ADMIN)
@never_replayed
@body(CreateUserSchema)
@reply(single("user", UserSchema), 201)
def create_user(username: str, password: str, role: Role) -> object:
    return accounts.create_user(username, password, role, by=current_caller())


@users.patch("/users/<id:user_id>")
@allow(Role.ADMIN)
@body(UpdateUserSchema)
@reply(single("user", UserSchema))
def update_user(
    user_id: str, password: str | None = None, role: Role | None = None, is_active: bool | None = None
) -> object:
    """Change the user. A new password and a deactivation end their logins at once; a role applies from the next
    request."""
    return accounts.update_user(user_id, password=password, role=role, is_active=is_active, by=current_caller())


@users.delete("/users/<id:user_id>")
@allow(Role.ADMIN)
@reply(None, 204)
def delete_user(user_id: str) -> None:
    accounts.delete_user(user_id, by=current_caller())
