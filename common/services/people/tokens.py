"""Tokens for programs: people's own API tokens, and those that let an agent register.

Only their SHA-256 is kept; the token itself is returned once, when it is made. A token that was made with a token ends
with it, and every one ends at a time that was said when it was made.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update

from common.errors import Busy, Forbidden, Invalid, NotFound, Unauthenticated
from common.models.account import ApiToken, EnrolmentToken, Login, User
from common.sealing import digest, new_token
from common.services.access import Caller
from common.services.paging import Page, PageQuery, page_of
from common.states import Role
from common.transaction import Transaction, snapshot, transactional

API_TOKEN_PREFIX = "aiw_"  # noqa: S105 (how one is recognised)
USE_NOTED_SECONDS = 60
"""How fresh last_used_at is: noting every use would turn every read into a write."""
ENROLMENT_DAYS = 30
LONGEST_DAYS = 366
"""How far ahead the end of a token may lie; also the end of an API token of which none was said."""
MOST_GENERATIONS = 10
"""How long a chain of tokens, each made with the one before, may be."""


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
    """A token of the caller's own. role None: the caller's. expires_at None: in LONGEST_DAYS.

    Forbidden above the caller's role. Invalid (expiresAt) for a time that is over or further ahead than LONGEST_DAYS.
    A token made with a token ends with that one, and no later.
    """
    role = by.role if role is None else role
    if role > by.role:
        raise Forbidden(f"a token of role {role.label} is more than {by.role.label}")
    parent = _parent(tx, by)
    token = new_token(API_TOKEN_PREFIX.rstrip("_"))
    row = tx.add(
        ApiToken(
            user_id=by.user_id, name=name, role=role, digest=digest(token), created_at=tx.now(),
            expires_at=_end_of(tx, expires_at, LONGEST_DAYS, parent), parent_id=parent.id if parent else None,
        )
    )  # fmt: skip
    return NewApiToken(row, token)


def _parent(tx: Transaction, by: Caller) -> ApiToken | None:
    """The API token by which the caller came, locked, so that it can't be revoked meanwhile; None for a login.

    Unauthenticated where it was revoked just now.
    """
    parents = tx.lock_all(ApiToken, [by.token_id])
    if parents:
        if len(_ancestors(tx, parents[0])) >= MOST_GENERATIONS:
            raise Forbidden(f"a chain of more than {MOST_GENERATIONS} tokens, each made with the one before")
        return parents[0]
    if by.token_id and tx.session.get(Login, by.token_id) is None:
        raise Unauthenticated
    return None


def _ancestors(tx: Transaction, token: ApiToken) -> list[str]:
    """The ids of the token and of those it was made with, nearest first."""
    ids: list[str] = []
    row: ApiToken | None = token
    while row is not None and len(ids) <= MOST_GENERATIONS:
        ids.append(row.id)
        row = tx.session.get(ApiToken, row.parent_id) if row.parent_id else None
    return ids


def _end_of(tx: Transaction, wanted: datetime | None, default_days: int, parent: ApiToken | None) -> datetime:
    now = tx.now()
    if wanted is not None and wanted <= now:
        raise Invalid("expiresAt", "Must be in the future")
    if wanted is not None and wanted > now + timedelta(days=LONGEST_DAYS):
        raise Invalid("expiresAt", f"Must be within {LONGEST_DAYS} days")
    end = wanted or now + timedelta(days=default_days)
    return min(end, parent.expires_at) if parent is not None and parent.expires_at is not None else end


def list_api_tokens(by: Caller, page: PageQuery) -> Page[ApiToken]:
    """The caller's own, newest first."""
    mine = select(ApiToken).where(ApiToken.user_id == by.user_id)
    with snapshot() as read:
        return page_of(read, mine, ApiToken.created_at, ApiToken.id, page)


@transactional
def delete_api_token(tx: Transaction, token_id: str, *, by: Caller) -> None:
    """The token and all that were made with it are refused from now on, on open sockets too.

    NotFound for another's. Forbidden where the caller came by a token of less than their own role: such a token ends
    itself and what was made with it, and nothing else of its owner's.
    """
    row = tx.find(select(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == by.user_id))
    if row is None:
        raise NotFound(f"token {token_id}")
    if _is_scoped(tx, by) and by.token_id not in _ancestors(tx, row):
        raise Forbidden("a token of less than its owner's role ends only itself and what was made with it")
    _delete_with_descendants(tx, row.id)
    tx.access_changed(by.user_id)


def _is_scoped(tx: Transaction, by: Caller) -> bool:
    came_by = tx.session.get(ApiToken, by.token_id) if by.token_id else None
    return came_by is not None and came_by.role < tx.get(User, by.user_id).role


def _delete_with_descendants(tx: Transaction, token_id: str) -> None:
    """Locked from the top down: a token made meanwhile waits for its parent's lock, and finds the parent gone."""
    generation = [token_id]
    while generation:
        tx.lock_all(ApiToken, generation)
        children = list(tx.session.scalars(select(ApiToken.id).where(ApiToken.parent_id.in_(generation))))
        tx.session.execute(delete(EnrolmentToken).where(EnrolmentToken.parent_id.in_(generation)))
        tx.session.execute(delete(ApiToken).where(ApiToken.id.in_(generation)))
        generation = children


@transactional
def create_enrolment_token(tx: Transaction, *, by: Caller, expires_at: datetime | None = None) -> NewEnrolmentToken:
    """Lets any number of agents register until it expires: in ENROLMENT_DAYS where expires_at is None.

    Invalid (expiresAt) for a time that is over or further ahead than LONGEST_DAYS. It ends with the API token that it
    was made with, and when its maker is no active administrator any more.
    """
    by.require(Role.ADMIN)
    parent = _parent(tx, by)
    token = new_token("awe")
    row = tx.add(
        EnrolmentToken(
            digest=digest(token), created_by=by.name, created_by_id=by.user_id, created_at=tx.now(),
            expires_at=_end_of(tx, expires_at, ENROLMENT_DAYS, parent), parent_id=parent.id if parent else None,
        )
    )  # fmt: skip
    return NewEnrolmentToken(row, token)


def list_enrolment_tokens(by: Caller, page: PageQuery) -> Page[EnrolmentToken]:
    """Every one that exists, the platform's own included, newest first."""
    by.require(Role.ADMIN)
    with snapshot() as read:
        return page_of(read, select(EnrolmentToken), EnrolmentToken.created_at, EnrolmentToken.id, page)


@transactional
def delete_enrolment_token(tx: Transaction, token_id: str, *, by: Caller) -> None:
    """No agent registers with it from now on. Agents that did so stay: each is removed by itself."""
    by.require(Role.ADMIN)
    rows = tx.lock_all(EnrolmentToken, [token_id])
    if not rows:
        raise NotFound(f"enrolment token {token_id}")
    tx.session.delete(rows[0])


@transactional
def authenticate_enrolment(tx: Transaction, token: str) -> str:
    """The id of the enrolment token. Unauthenticated if it is unknown or no longer good."""
    row = tx.find(select(EnrolmentToken).where(EnrolmentToken.digest == digest(token)))
    if row is None or (row.expires_at is not None and row.expires_at <= tx.now()):
        raise Unauthenticated
    maker = tx.session.get(User, row.created_by_id) if row.created_by_id else None
    if row.created_by_id and (maker is None or not maker.is_active or maker.role < Role.ADMIN):
        raise Unauthenticated
    row.last_used_at = tx.now()
    return row.id
