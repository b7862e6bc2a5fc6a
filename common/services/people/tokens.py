"""Tokens for programs: API tokens of people, and enrolment tokens with which agents register.

Only a token's SHA-256 is stored; the token itself is returned once, when it is created. Every token has an expiry, and
a token that was created with an API token is deleted with it.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, select, update

from common.database.compiled_statements import AnySelect, Row, Statement
from common.errors import Busy, Forbidden, Invalid, NotFound, Unauthenticated
from common.events.catalogue import TokenChanged
from common.models.account import ApiToken, EnrolmentToken, Login, User
from common.secrets.sealing import digest, new_token
from common.services.people.project_roles import ExtendQuery, read_first_row
from common.services.requests.access import Caller
from common.services.requests.paging import Page, PageQuery, page_of
from common.services.upkeep.purging import purge
from common.transaction import Transaction, snapshot, transactional
from common.values.states import Role

API_TOKEN_PREFIX = "aiw_"  # noqa: S105 (not a secret)
USE_NOTED_SECONDS = 60
"""last_used_at is updated at most once in this time: updating it at every use would turn every read into a write."""
ENROLMENT_DAYS = 30
"""Default lifetime of an enrolment token."""
LONGEST_DAYS = 366
"""Longest lifetime of a token; also the default lifetime of an API token."""
MOST_GENERATIONS = 10
"""Most tokens in a chain in which each was created with the one before."""
KEPT_DAYS = 30
"""How long a token that has expired is still shown in lists."""


@dataclass(frozen=True)
class NewApiToken:
    row: ApiToken
    token: str


@dataclass(frozen=True)
class NewEnrolmentToken:
    row: EnrolmentToken
    token: str


def authenticate_api_token(token: str, add: ExtendQuery, **values: object) -> tuple[Caller, Row]:
    """The caller who owns this API token, with the lower of the token's and the user's role, and what is read along.

    add, values: see accounts.authenticate_with. Unauthenticated if the token is unknown or expired, or the user is
    inactive.
    """
    now = datetime.now(UTC)
    found = read_first_row(_token_statement(add), digest=digest(token), **values)
    if found is None:
        raise Unauthenticated
    token_id, token_role, expires_at, last_used_at, user_id, username, role = found[:7]
    if expires_at is not None and expires_at <= now:
        raise Unauthenticated
    if last_used_at is None or now - last_used_at > timedelta(seconds=USE_NOTED_SECONDS):
        # If the database is busy, accept the token all the same; its next use is noted instead.
        with contextlib.suppress(Busy):
            _note_use(token_id)
    return Caller(user_id, username, Role(min(role, token_role)), token_id), found[7:]


@functools.cache
def _token_statement(add: ExtendQuery) -> Statement:
    return Statement(lambda: add(_token()))


def _token() -> AnySelect:
    return (
        select(
            ApiToken.id, ApiToken.role, ApiToken.expires_at, ApiToken.last_used_at, User.id, User.username, User.role
        )
        .select_from(ApiToken)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.digest == bindparam("digest"), User.is_active.is_(True))
    )


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
    tx: Transaction,
    *,
    by: Caller,
    name: str,
    role: Role | None = None,
    expires_at: datetime | None = None,
    is_recorded: bool = True,
) -> NewApiToken:
    """Create an API token for the caller. role: None: the caller's. expires_at: None: in LONGEST_DAYS. is_recorded:
    False for the token of one command on the platform's own machine: what is done with it is recorded.

    Forbidden for a role above the caller's. Invalid (expiresAt) for a time in the past or beyond LONGEST_DAYS. A token
    that is created with an API token expires with it at the latest.
    """
    role = by.role if role is None else role
    if role > by.role:
        raise Forbidden(f"a token's role can't be higher than your own: {role.label} is above {by.role.label}")
    parent = _parent(tx, by)
    token = new_token(API_TOKEN_PREFIX.rstrip("_"))
    row = tx.add(
        ApiToken(
            user_id=by.user_id, name=name, role=role, digest=digest(token), created_at=tx.now(),
            expires_at=_end_of(tx, expires_at, LONGEST_DAYS, parent), parent_id=parent.id if parent else None,
        )
    )  # fmt: skip
    if is_recorded:
        _record(tx, row, "created")
    return NewApiToken(row, token)


def _parent(tx: Transaction, by: Caller) -> ApiToken | None:
    """The API token that the caller used, locked so that it can't be revoked meanwhile; None for a login.

    A login is locked, too: a new password of its owner deletes the tokens that are there, and none comes after them.
    Unauthenticated if either has just ended.
    """
    parents = tx.lock_all(ApiToken, [by.token_id])
    if parents:
        if len(_ancestors(tx, parents[0])) >= MOST_GENERATIONS:
            raise Forbidden(
                f"tokens can be created with tokens at most {MOST_GENERATIONS} times in a row; log in instead"
            )
        return parents[0]
    if by.token_id:
        # In the order of a change of the password.
        tx.lock_all(User, [by.user_id])
        logins = tx.lock_all(Login, [by.token_id])
        if not logins or logins[0].ended_at is not None:
            raise Unauthenticated
    return None


def _ancestors(tx: Transaction, token: ApiToken) -> list[str]:
    """The ids of the token, of the token that created it, and so on."""
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
    """The caller's own tokens, newest first."""
    mine = select(ApiToken).where(ApiToken.user_id == by.user_id)
    with snapshot() as read:
        return page_of(read, mine, ApiToken.created_at, ApiToken.id, page)


@transactional
def delete_api_token(tx: Transaction, token_id: str, *, by: Caller, is_recorded: bool = True) -> None:
    """Delete the token and all that were created with it. They are refused from now on, also on open sockets.

    is_recorded: as in create_api_token; the end of tokens that were created with it is always recorded.
    NotFound for another person's token. Forbidden if the caller uses a token of a lower role than their own: such a
    token may delete only itself and tokens that were created with it.
    """
    row = tx.find(select(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == by.user_id))
    if row is None:
        raise NotFound(f"token {token_id}")
    if _is_scoped(tx, by) and by.token_id not in _ancestors(tx, row):
        raise Forbidden("a token below its owner's role may delete only itself and tokens created with it")
    _delete_with_descendants(tx, row.id, unrecorded="" if is_recorded else row.id)
    tx.access_changed(by.user_id)


def _is_scoped(tx: Transaction, by: Caller) -> bool:
    used = tx.session.get(ApiToken, by.token_id) if by.token_id else None
    return used is not None and used.role < tx.get(User, by.user_id).role


def _delete_with_descendants(tx: Transaction, token_id: str, *, unrecorded: str) -> None:
    # Locks go from parents to children: creating a child waits for its parent's lock and then finds the parent deleted.
    generation = [token_id]
    while generation:
        ended: list[ApiToken | EnrolmentToken] = [*tx.lock_all(ApiToken, generation)]
        children = list(tx.session.scalars(select(ApiToken.id).where(ApiToken.parent_id.in_(generation))))
        ended += tx.all(select(EnrolmentToken).where(EnrolmentToken.parent_id.in_(generation)))
        for row in ended:
            if row.id != unrecorded:
                _record(tx, row, "revoked")
        tx.session.execute(delete(EnrolmentToken).where(EnrolmentToken.parent_id.in_(generation)))
        tx.session.execute(delete(ApiToken).where(ApiToken.id.in_(generation)))
        generation = children


@transactional
def create_enrolment_token(tx: Transaction, *, by: Caller, expires_at: datetime | None = None) -> NewEnrolmentToken:
    """Create a token with which any number of agents may register until it expires.

    expires_at: None: in ENROLMENT_DAYS. Invalid (expiresAt) for a time in the past or beyond LONGEST_DAYS. The token
    also ends with the API token that created it, and when its creator stops being an active administrator.
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
    _record(tx, row, "created")
    return NewEnrolmentToken(row, token)


def list_enrolment_tokens(by: Caller, page: PageQuery) -> Page[EnrolmentToken]:
    """All enrolment tokens, including the platform's own, newest first."""
    by.require(Role.ADMIN)
    with snapshot() as read:
        return page_of(read, select(EnrolmentToken), EnrolmentToken.created_at, EnrolmentToken.id, page)


@transactional
def delete_enrolment_token(tx: Transaction, token_id: str, *, by: Caller) -> None:
    """Delete the token, so that no agent can register with it. Agents that registered with it stay."""
    by.require(Role.ADMIN)
    rows = tx.lock_all(EnrolmentToken, [token_id])
    if not rows:
        raise NotFound(f"enrolment token {token_id}")
    _record(tx, rows[0], "revoked")
    tx.session.delete(rows[0])


def revoke_enrolment_tokens_of(tx: Transaction, user_id: str) -> None:
    """Delete the enrolment tokens of a user who is no active administrator any more, or has a new password."""
    for row in tx.all(select(EnrolmentToken).where(EnrolmentToken.created_by_id == user_id)):
        _record(tx, row, "revoked")
        tx.session.delete(row)


def purge_tokens() -> int:
    """Delete API and enrolment tokens that expired more than KEPT_DAYS ago. Returns how many. Safe to repeat.

    Tokens that were created with one of them expired with it at the latest.
    """
    with snapshot() as read:
        old = read.now() - timedelta(days=KEPT_DAYS)
    return sum(purge(kind.id, kind.expires_at < old, order=kind.expires_at) for kind in (ApiToken, EnrolmentToken))


def _record(tx: Transaction, row: ApiToken | EnrolmentToken, change: str) -> None:
    if isinstance(row, EnrolmentToken):
        tx.record(TokenChanged(token_id=row.id, kind="enrolment", change=change))
        return
    tx.record(
        TokenChanged(token_id=row.id, kind="api", change=change, token_name=row.name, role=Role(row.role).label,
                     user_id=row.user_id)
    )  # fmt: skip


@transactional
def authenticate_enrolment(tx: Transaction, token: str) -> str:
    """The id of the enrolment token. Unauthenticated if it is unknown or not valid any more."""
    row = tx.find(select(EnrolmentToken).where(EnrolmentToken.digest == digest(token)))
    if row is None or (row.expires_at is not None and row.expires_at <= tx.now()):
        raise Unauthenticated
    maker = tx.session.get(User, row.created_by_id) if row.created_by_id else None
    if row.created_by_id and (maker is None or not maker.is_active or maker.role < Role.ADMIN):
        raise Unauthenticated
    row.last_used_at = tx.now()
    return row.id
