"""Logging in and out, and who the caller is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from flask import request
from marshmallow import fields

from common.errors import Unauthenticated
from common.services.people import accounts as services
from common.states import Role
from web.http.auth import allow, issue_tokens, public, who
from web.http.blueprint import Blueprint, body, never_replayed, one, reply
from web.http.fields import Integer, Label, Schema, Text, Timestamp
from web.http.rate_limits import LOGINS_BY_ADDRESS, LOGINS_BY_NAME, LOGINS_BY_NAME_ANYWHERE, spend

accounts = Blueprint("accounts", __name__, url_prefix="/api")


class Credentials(Schema):
    username = Text(100, required=True)
    password = Text(services.LONGEST_PASSWORD, required=True)


class ChangePassword(Schema):
    current = Text(services.LONGEST_PASSWORD, required=True)
    new = Text(services.LONGEST_PASSWORD, required=True)


class RefreshToken(Schema):
    refresh_token = Text(services.LONGEST_TOKEN, required=True)


class Me(Schema):
    id = fields.String()
    username = fields.String()
    role = Label(Role)
    created_at = Timestamp()


class Session(Schema):
    access_token = fields.String()
    refresh_token = fields.String()
    expires_in = Integer()
    user = fields.Nested(Me)


@accounts.post("/auth/login")
@public
@never_replayed
@body(Credentials)
@reply(Session)
def log_in(body: dict[str, Any]) -> Any:
    """Log in. Ten failures a minute for a name from one address, sixty from all; then 429."""
    with _counted_attempt(body["username"]):
        return issue_tokens(services.log_in(body["username"], body["password"]))


@contextlib.contextmanager
def _counted_attempt(username: str) -> Iterator[None]:
    """Count an attempt at a password; TooManyRequests above the limits. Given back where nothing was raised."""
    address = request.remote_addr or "unknown"
    # Counted before the attempt and given back after a good one, so that many at once are counted too.
    name = username.lower()
    spent = [
        spend(LOGINS_BY_NAME, f"{name}|{address}"),
        spend(LOGINS_BY_ADDRESS, address),
        spend(LOGINS_BY_NAME_ANYWHERE, name),
    ]
    yield
    for attempt in spent:
        attempt.give_back()


@accounts.post("/auth/password")
@allow(Role.VIEWER)
@never_replayed
@body(ChangePassword)
@reply(Session)
def change_password(body: dict[str, Any]) -> Any:
    """Change the caller's own password. Every login and every token of theirs ends; the reply is a new login."""
    with _counted_attempt(who().username):
        return issue_tokens(services.change_password(**body, by=who()))


@accounts.post("/auth/refresh")
@public
@never_replayed
@body(RefreshToken)
@reply(Session)
def refresh(body: dict[str, Any]) -> Any:
    """Exchange a refresh token for a new pair. Each is good once; a second use ends the login."""
    if not body["refresh_token"]:
        raise Unauthenticated
    return issue_tokens(services.refresh(body["refresh_token"]))


@accounts.post("/auth/logout")
@allow(Role.VIEWER)
@never_replayed
@reply(None, 204)
def log_out() -> None:
    """End the login; its tokens and open sockets end with it."""
    services.log_out(by=who())


@accounts.get("/auth/me")
@allow(Role.VIEWER)
@reply(one("user", Me))
def read_me() -> Any:
    """The caller; the role is at most that of the token."""
    caller = who()
    user = services.read_user(caller.user_id)
    return {"user": {"id": user.id, "username": user.username, "role": caller.role, "created_at": user.created_at}}
