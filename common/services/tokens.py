"""Tokens for programs: people's own API tokens, and those that let an agent register.

Only their SHA-256 is kept; the token itself is returned once, when it is made.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from common.errors import Busy, Forbidden, Invalid, NotFound, Unauthenticated
from common.models.account import ApiToken, EnrolmentToken, User
from common.sealing import digest, new_token
from common.services.access import Caller
from common.services.paging import Page, PageQuery, page_of
from common.states import Role
from common.transaction import Transaction, snapshot, transactional

API_TOKEN_PREFIX = "aiw_"  # noqa: S105 (how one is recognised)
USE_NOTED_SECONDS = 60
"""How fresh last_used_at is: noting every use would turn every read into a write."""
ENROLMENT_DAYS = 30


@dataclass(frozen=True)
class NewApiToken:
    row: ApiToken
    token: str


@dataclass(frozen=True)
class NewEnrolmentToken:
    row: EnrolmentToken
    token: str


def authenticate_api_token(token: str) -> Caller:
    """Whose API token this is, with the lesser of its role and theirs. Unauthenticated if it is no longer good."""
    now = datetime.now(UTC)
    with snapshot() as read:
        row = read.session.execute(
            select(
                ApiToken.id, ApiToken.role.label("token_role"), ApiToken.expires_at, ApiToken.last_used_at,
                User.id.label("user_id"), User.username, User.role,
            )
            .join(User, User.id == ApiToken.user_id)
            .where(ApiToken.digest == digest(token), User.is_active.is_(True))
        ).first()  # fmt: skip
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        raise Unauthenticated
    if row.last_used_at is None or now - row.last_used_at > timedelta(seconds=USE_NOTED_SECONDS):
        # A busy database is no reason to refuse a good token: the next use is noted instead.
        with contextlib.suppress(Busy):
            _note_use(row.id)
    return Caller(row.user_id, row.username, Role(min(row.role, row.token_role)), row.id)


@transactional
def _note_use(tx: Transaction, token_id: str) -> None:
    tx.session.execute(
        update(ApiToken)
        .where(ApiToken.id == token_id)
        .values(last_used_at=tx.now())
        .execution_options(synchronize_session=False)
    )


@transactional
def create_api_token(
    tx: Transaction, *, by: Caller, name: str, role: Role | None = None, expires_at: datetime | None = None
) -> NewApiToken:
    """A token of the caller's own. role None: the caller's. expires_at None: good until deleted.

    Forbidden above the caller's role. A token made with a token ends no later than that one.
    """
    role = by.role if role is None else role
    if role > by.role:
        raise Forbidden(f"a token of role {role.label} is more than {by.role.label}")
    expires_at = _limited(tx, by, expires_at)
    if expires_at is not None and expires_at <= tx.now():
        raise Invalid("expiresAt", "Must be in the future")
    token = new_token(API_TOKEN_PREFIX.rstrip("_"))
    row = tx.add(
        ApiToken(
            user_id=by.user_id, name=name, role=role, digest=digest(token), created_at=tx.now(), expires_at=expires_at
        )
    )
    return NewApiToken(row, token)


def _limited(tx: Transaction, by: Caller, expires_at: datetime | None) -> datetime | None:
    parent = tx.session.get(ApiToken, by.token_id) if by.token_id else None
    if parent is None or parent.expires_at is None:
        return expires_at
    return parent.expires_at if expires_at is None else min(expires_at, parent.expires_at)


def list_api_tokens(by: Caller, page: PageQuery) -> Page[ApiToken]:
    """The caller's own, newest first."""
    mine = select(ApiToken).where(ApiToken.user_id == by.user_id)
    with snapshot() as read:
        return page_of(read, mine, ApiToken.created_at, ApiToken.id, page)


@transactional
def delete_api_token(tx: Transaction, token_id: str, *, by: Caller) -> None:
    """The token is refused from now on, on open sockets too. NotFound for another's."""
    row = tx.find(select(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == by.user_id))
    if row is None:
        raise NotFound(f"token {token_id}")
    tx.session.delete(row)
    tx.access_changed(by.user_id)


@transactional
def create_enrolment_token(tx: Transaction, *, by: Caller, expires_at: datetime | None = None) -> NewEnrolmentToken:
    """Lets any number of agents register until it expires: in ENROLMENT_DAYS where expires_at is None."""
    by.require(Role.ADMIN)
    if expires_at is not None and expires_at <= tx.now():
        raise Invalid("expiresAt", "Must be in the future")
    token = new_token("awe")
    row = tx.add(
        EnrolmentToken(
            digest=digest(token),
            created_by=by.name,
            created_at=tx.now(),
            expires_at=expires_at or tx.now() + timedelta(days=ENROLMENT_DAYS),
        )
    )
    return NewEnrolmentToken(row, token)
