"""What tests start from: people, their tokens, and clients that call in their name.

Rows are made by the services that make them in earnest, or, where that is slow, as the services would make them.
"""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from typing import Any

import argon2
from flask import Flask
from flask.testing import FlaskClient

from common.models.account import ApiToken, User
from common.secrets.sealing import digest, new_token
from common.services.people.tokens import API_TOKEN_PREFIX, LONGEST_DAYS
from common.services.requests.access import Caller
from common.transaction import Transaction, transactional
from common.values.states import Role

PASSWORD = "a password of tests"


@functools.cache
def _password_hash() -> str:
    """Made once: hashing takes longer than most tests."""
    return argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@transactional
def a_user(tx: Transaction, username: str, role: Role = Role.MEMBER, *, is_active: bool = True) -> User:
    """Somebody who may log in with PASSWORD."""
    return tx.add(
        User(
            username=username,
            password_hash=_password_hash(),
            role=role,
            is_active=is_active,
            token_epoch=0,
            created_at=tx.now(),
        )
    )


def caller_of(user: User) -> Caller:
    return Caller(user.id, user.username, Role(user.role))


@transactional
def a_token(
    tx: Transaction, user: User, *, role: Role | None = None, expires_at: datetime | None = None
) -> str:  # fmt: skip
    """An API token of the user's. Made without an event: that would be sent to Redis while the test runs."""
    token = new_token(API_TOKEN_PREFIX.rstrip("_"))
    tx.add(
        ApiToken(
            user_id=user.id, name="test", role=user.role if role is None else role, digest=digest(token),
            created_at=tx.now(), expires_at=expires_at or tx.now() + timedelta(days=LONGEST_DAYS),
        )
    )  # fmt: skip
    return token


def client_with(app: Flask, token: str | None) -> FlaskClient:
    """A client that sends this token with every request."""
    client = app.test_client()
    if token is not None:
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def client_of(app: Flask, user: User) -> FlaskClient:
    return client_with(app, a_token(user))


def log_in(client: FlaskClient, username: str = "ada", password: str = PASSWORD) -> dict[str, Any]:
    """Log in by the API; the body of the reply: the tokens, their time, the user."""
    reply = client.post("/api/auth/login", json={"username": username, "password": password})
    assert reply.status_code == 200, reply.json
    body: dict[str, Any] = reply.json
    return body
