"""Logging in and out, and reading the own account."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import structlog
from flask import request
from marshmallow import fields

from common.errors import Invalid, Unauthenticated
from common.services.people import accounts as services
from common.services.people.sessions import Device
from common.values.states import Role
from web.http.auth import IssuedTokens, allow, current_caller, issue_tokens, public
from web.http.blueprint import Blueprint, body, never_replayed, reply, single
from web.http.errors import TooManyRequests
from web.http.fields import Integer, Label, Schema, Text, Timestamp
from web.http.rate_limits import LOGINS_BY_ADDRESS, LOGINS_BY_NAME, LOGINS_BY_NAME_ANYWHERE, CountedRequest, spend
from web.http.server.request_id import request_id

log = structlog.get_logger()

accounts = Blueprint("accounts", __name__, url_prefix="/api")

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


class CredentialsSchema(Schema):
    username = Text(100, required=True)
    password = Text(services.LONGEST_PASSWORD, required=True)


class ChangePasswordSchema(Schema):
    current = Text(services.LONGEST_PASSWORD, required=True)
    new = Text(services.LONGEST_PASSWORD, required=True)


class RefreshTokenSchema(Schema):
    refresh_token = Text(services.LONGEST_TOKEN, required=True)


class MeSchema(Schema):
    id = fields.String()
    username = fields.String()
    role = Label(Role)
    created_at = Timestamp()


class SessionSchema(Schema):
    access_token = fields.String()
    refresh_token = fields.String()
    expires_in = Integer()
    user = fields.Nested(MeSchema)


@accounts.post("/auth/login")
@public
@never_replayed
@body(CredentialsSchema)
@reply(SessionSchema)
def log_in(username: str, password: str) -> IssuedTokens:
    """Log in. 429 after ten failures a minute for a name from one address, or sixty from all addresses."""
    with _counted_attempt(username):
        return issue_tokens(services.log_in(username, password, _device()))


def _device() -> Device:
    return Device(_address(), request.user_agent.string or None)


def _address() -> str | None:
    """The client's IP address. Some proxies name the port beside it, which differs with each connection."""
    given = request.remote_addr or ""
    found = _WITH_PORT.fullmatch(given)
    return (found[1] or found[2] if found else given) or None


@contextlib.contextmanager
def _counted_attempt(username: str) -> Iterator[None]:
    """Count an attempt at a password, and give it back if it succeeds. TooManyRequests above the limits.

    A refusal is logged with the client's address, for programs that lock such clients out; not with the name, in place
    of which people type their password now and then.
    """
    address = _address() or "unknown"
    try:
        spent = _spend_attempt(username, address)
        yield
    except (Invalid, TooManyRequests, Unauthenticated) as refused:
        # Not a new one that is too easy to guess.
        if not isinstance(refused, Invalid) or refused.field == "current":
            log.warning("a password was refused", request_id=request_id(), client=address, reason=str(refused))
        raise
    for attempt in spent:
        attempt.mark_feedback_undelivered()


def _spend_attempt(username: str, address: str) -> list[CountedRequest]:
    # Counted before the attempt, so that many attempts at once are limited too.
    name = username.lower()
    return [
        spend(LOGINS_BY_NAME, f"{name}|{address}"),
        spend(LOGINS_BY_ADDRESS, address),
        spend(LOGINS_BY_NAME_ANYWHERE, name),
    ]


@accounts.post("/auth/password")
@allow(Role.VIEWER)
@never_replayed
@body(ChangePasswordSchema)
@reply(SessionSchema)
def change_password(current: str, new: str) -> IssuedTokens:
    """Change the caller's own password. All their logins and tokens end; the reply is a new login."""
    with _counted_attempt(current_caller().username):
        return issue_tokens(services.change_password(current=current, new=new, by=current_caller(), device=_device()))


@accounts.post("/auth/refresh")
@public
@never_replayed
@body(RefreshTokenSchema)
@reply(SessionSchema)
def refresh(refresh_token: str) -> IssuedTokens:
    """Exchange a refresh token for a new pair. A second use of the same token ends the login."""
    return issue_tokens(services.refresh(refresh_token, _device()))


@accounts.post("/auth/logout")
@allow(Role.VIEWER)
@never_replayed
@reply(None, 204)
def log_out() -> None:
    """End the login; its tokens and open sockets end with it."""
    services.log_out(by=current_caller())


@accounts.get("/auth/me")
@allow(Role.VIEWER)
@reply(single("user", MeSchema))
def read_me() -> object:
    """The calling user. role: at most the role of the token."""
    caller = current_caller()
    user = services.read_own_user(by=caller)
    return {"id": user.id, "username": user.username, "role": caller.role, "created_at": user.created_at}
