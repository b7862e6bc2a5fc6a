"""User accounts and logins, and the authentication of every request and open socket.

login_tokens.py verifies tokens; the web layer issues them. A password change, a deactivation or a logout takes effect
with the next request.
"""

from __future__ import annotations

import functools
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import bindparam, delete, func, or_, select
from sqlalchemy.exc import IntegrityError

from common.database.compiled_statements import AnySelect, Row, Statement
from common.errors import Conflict, Invalid, NotFound, Unauthenticated
from common.events.catalogue import UserChanged
from common.models.account import ApiToken, Login, User
from common.services.people import passwords
from common.services.people.login_tokens import LONGEST_TOKEN as LONGEST_TOKEN
from common.services.people.login_tokens import Claims, verify
from common.services.people.passwords import LONGEST_PASSWORD as LONGEST_PASSWORD
from common.services.people.project_roles import (
    ExtendQuery,
    caller_from_row,
    read_first_row,
    unchanged_query,
    with_role_in_project,
)
from common.services.people.sessions import UNKNOWN, Device, end_login, lock_logins, note_use
from common.services.people.tokens import API_TOKEN_PREFIX as API_TOKEN_PREFIX
from common.services.people.tokens import authenticate_api_token, revoke_enrolment_tokens_of
from common.services.requests.access import Caller
from common.services.requests.paging import Page, PageQuery, page_of
from common.services.upkeep.purging import purge
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.states import Role

USERNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_RESERVED = frozenset({"platform", "agent", "system", "operator", "default", "anonymous"})
"""Names that the record of events gives to others, such as `operator` to who runs a command on the machine."""

log = structlog.get_logger()


@dataclass(frozen=True)
class OpenLogin:
    """What the tokens of a login contain. refresh_id: the jti of its only valid refresh token."""

    login_id: str
    refresh_id: str
    epoch: int
    user: User


def authenticate(token: str, project_id: str | None = None) -> Caller:
    """The caller who owns this access token or API token. Takes one query, so open sockets may repeat it.

    project_id: the same query reads the caller's role in this project. Unauthenticated if the token is malformed,
    expired or revoked, or the user is deleted or inactive.
    """
    if project_id is None:
        return authenticate_with(token, unchanged_query)[0]
    caller, of_project = authenticate_with(token, with_role_in_project, project=project_id)
    return caller_from_row(caller, project_id, of_project)


def authenticate_with(token: str, add: ExtendQuery, **values: object) -> tuple[Caller, Row]:
    """As authenticate, with what the same query reads along with the caller.

    add: adds the columns, and to which rows of other tables they belong; a function of a module, as its statements are
    kept. values: the parameters that it adds.
    """
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated
    if token.startswith(API_TOKEN_PREFIX):
        return authenticate_api_token(token, add, **values)
    claims = verify(token, "access")
    # Read with every request: a token that was verified before says nothing about what was ended since.
    found = read_first_row(
        _login_statement(add),
        login=claims.login_id, of_login=claims.user_id, epoch=claims.epoch, now=datetime.now(UTC), **values,
    )  # fmt: skip
    if found is None:
        raise Unauthenticated
    user_id, username, role = found[:3]
    return Caller(user_id, username, Role(role), claims.login_id), found[3:]


@functools.cache
def _login_statement(add: ExtendQuery) -> Statement:
    return Statement(lambda: add(_login()))


def _login() -> AnySelect:
    return (
        select(User.id, User.username, User.role)
        .select_from(Login)
        .join(User, User.id == Login.user_id)
        .where(
            Login.id == bindparam("login"),
            User.id == bindparam("of_login"),
            User.is_active.is_(True),
            User.token_epoch == bindparam("epoch"),
            Login.ended_at.is_(None),
            Login.expires_at > bindparam("now"),
        )
    )


def log_in(username: str, password: str, device: Device = UNKNOWN) -> OpenLogin:
    """Open a login. Unauthenticated (`Invalid credentials`) takes equally long for unknown and known user names."""
    with snapshot() as read:
        user = read.find(select(User).where(User.username == username))
    if user is not None and user.username != username:
        # To MariaDB, `ada ` is `ada`, too; each spelling would have attempts of its own.
        user = None
    is_right = passwords.matches(user.password_hash if user is not None and user.is_active else None, password)
    if user is None or not is_right:
        raise Unauthenticated("Invalid credentials")
    return _open_login(user.id, user.token_epoch, device)


@transactional
def _open_login(tx: Transaction, user_id: str, epoch: int, device: Device) -> OpenLogin:
    user = next(iter(tx.lock_all(User, [user_id])), None)
    if user is None or not user.is_active or user.token_epoch != epoch:
        raise Unauthenticated("Invalid credentials")
    now = tx.now()
    expires_at = now + timedelta(seconds=settings().security.refresh_token_seconds)
    login = Login(user_id=user.id, refresh_id=new_id(), created_at=now, expires_at=expires_at)
    note_use(tx, login, device)
    tx.add(login)
    return OpenLogin(login.id, login.refresh_id, user.token_epoch, user)


def refresh(token: str, device: Device = UNKNOWN) -> OpenLogin:
    """Exchange a refresh token for a new one. Each can be used once: a second use means theft and ends the login.

    Access tokens that were issued before stay valid until they expire.
    """
    claims = verify(token, "refresh")
    login = _rotate(claims, device)
    if login is None:
        raise Unauthenticated
    return login


@transactional
def _rotate(tx: Transaction, claims: Claims, device: Device) -> OpenLogin | None:
    # Returns None instead of raising, because ending a login whose token was used twice has to be committed.
    locked = tx.lock_all(Login, [claims.login_id])
    login = locked[0] if locked else None
    user = None if login is None else tx.session.get(User, login.user_id)
    if login is None or user is None or login.user_id != claims.user_id:
        return None
    is_open = login.ended_at is None and login.expires_at > tx.now()
    if not is_open or not user.is_active or user.token_epoch != claims.epoch:
        return None
    if login.refresh_id != claims.token_id:
        end_login(tx, login)
        return None
    login.refresh_id = new_id()
    note_use(tx, login, device)
    return OpenLogin(login.id, login.refresh_id, user.token_epoch, user)


@transactional
def log_out(tx: Transaction, *, by: Caller) -> None:
    """End the login that the caller used; its tokens are refused from now on. Conflict with an API token."""
    locked = tx.lock_all(Login, [by.token_id])
    if not locked:
        raise Conflict("an API token can't be logged out; delete it with DELETE /api/tokens/:id", field="token")
    end_login(tx, locked[0])


def read_user(user_id: str) -> User:
    with snapshot() as read:
        user = read.get(User, user_id)
    if user is None:
        raise NotFound(f"user {user_id}")
    return user


def read_own_user(*, by: Caller) -> User:
    """The caller's row. Unauthenticated if they were deleted since their request began."""
    try:
        return read_user(by.user_id)
    except NotFound as error:
        raise Unauthenticated from error


def list_users(by: Caller, page: PageQuery) -> Page[User]:
    by.require(Role.ADMIN)
    with snapshot() as read:
        return page_of(read, select(User), User.created_at, User.id, page)


def create_user(username: str, password: str, role: Role, *, by: Caller) -> User:
    """Create a user, who may log in at once. Conflict if the name is taken, without regard to case."""
    by.require(Role.ADMIN)
    _check_username(username)
    try:
        return _insert_user(username, passwords.hash_new(password, about=[username]), role)
    except IntegrityError as error:  # another request created the same name at the same time
        raise Conflict(f"the username {username} is taken", field="username") from error


@transactional
def _insert_user(tx: Transaction, username: str, password_hash: str, role: Role) -> User:
    if tx.find(select(User).where(func.lower(User.username) == username.lower())) is not None:
        raise Conflict(f"the username {username} is taken", field="username")
    user = tx.add(
        User(username=username, password_hash=password_hash, role=role, is_active=True, token_epoch=0,
             created_at=tx.now())
    )  # fmt: skip
    _record(tx, user, "created", new_role=role.label)
    return user


def update_user(
    user_id: str,
    *,
    by: Caller,
    password: str | None = None,
    role: Role | None = None,
    is_active: bool | None = None,
) -> User:
    """Change the values that are not None. A new password or a deactivation ends every login of the user; a new role
    applies from the next request on.

    A new password also deletes the user's tokens, as somebody with the old password may have created them. Conflict if
    no active administrator would be left.
    """
    by.require(Role.ADMIN)
    new_hash = None if password is None else passwords.hash_new(password, about=[read_user(user_id).username])
    return _update_user(user_id, new_hash, role, is_active)


@transactional
def _update_user(
    tx: Transaction, user_id: str, password_hash: str | None, role: Role | None, is_active: bool | None
) -> User:
    user = _locked_among_admins(tx, user_id)
    stays_admin = (role is None or role >= Role.ADMIN) and is_active is not False
    _keep_an_admin(tx, user, stays_admin=stays_admin)
    if role is not None and role != user.role:
        _record(tx, user, "role", old_role=Role(user.role).label, new_role=role.label)
        user.role = role
    if is_active is not None and is_active != user.is_active:
        _record(tx, user, "active", is_active=is_active)
        user.is_active = is_active
    if not user.is_active or user.role < Role.ADMIN:
        revoke_enrolment_tokens_of(tx, user.id)
    if password_hash is not None:
        _replace_password(tx, user, password_hash)
    elif is_active is False:
        _end_logins(tx, user)
    tx.access_changed(user.id)
    return user


def _replace_password(tx: Transaction, user: User, password_hash: str) -> None:
    """Set the password of a locked user, and end all logins and tokens of the user."""
    user.password_hash = password_hash
    _record(tx, user, "password")
    _end_logins(tx, user)
    tx.session.execute(delete(ApiToken).where(ApiToken.user_id == user.id))
    revoke_enrolment_tokens_of(tx, user.id)
    tx.access_changed(user.id)


def _end_logins(tx: Transaction, user: User) -> None:
    # Raising the epoch ends also a login that is opened at this moment with the old password.
    user.token_epoch += 1
    for login in lock_logins(tx, user.id):
        end_login(tx, login)


def change_password(*, current: str, new: str, by: Caller, device: Device = UNKNOWN) -> OpenLogin:
    """Change the caller's own password, end all of their logins and tokens, and open a new login for them.

    Invalid (`current`) if that is not the present password, (`new`) if it is too easy to guess. Conflict with an API
    token: a program that holds one must not be able to lock its owner out. Unauthenticated if they were deleted
    meanwhile.
    """
    user = read_own_user(by=by)
    if not passwords.matches(user.password_hash, current):
        raise Invalid("current", "Is not your password")
    return _change_password(user, passwords.hash_new(new, about=[user.username], field="new"), device, by=by)


@transactional
def _change_password(tx: Transaction, seen: User, password_hash: str, device: Device, *, by: Caller) -> OpenLogin:
    user = next(iter(tx.lock_all(User, [seen.id])), None)
    if user is None:
        raise Unauthenticated
    if not tx.lock_all(Login, [by.token_id]):
        raise Conflict("an API token can't change the password; log in with it", field="token")
    if user.password_hash != seen.password_hash:
        raise Conflict("the password was changed by another request just now", field="current")
    _replace_password(tx, user, password_hash)
    tx.session.flush()
    return _open_login(user.id, user.token_epoch, device)


def set_password(username: str, password: str, *, by: Caller) -> User:
    """Set a user's password as update_user does, by user name. For the command line."""
    with snapshot() as read:
        user = read.find(select(User).where(User.username == username))
    if user is None:
        raise NotFound(f"user {username}")
    return update_user(user.id, password=password, by=by)


@transactional
def delete_user(tx: Transaction, user_id: str, *, by: Caller) -> None:
    """Delete the user with logins, tokens and memberships. Events and other records keep the user's name.

    Conflict for the last active administrator.
    """
    by.require(Role.ADMIN)
    user = _locked_among_admins(tx, user_id)
    _keep_an_admin(tx, user, stays_admin=False)
    tx.access_changed(user.id)
    _record(tx, user, "deleted", old_role=Role(user.role).label)
    revoke_enrolment_tokens_of(tx, user.id)
    tx.session.delete(user)
    tx.session.flush()


def _locked_among_admins(tx: Transaction, user_id: str) -> User:
    # Lock all administrators with the user, in the order of ids, so that two who demote each other run one by one.
    ids = tx.session.scalars(select(User.id).where(or_(User.role >= Role.ADMIN, User.id == user_id))).all()
    for user in tx.lock_all(User, [*ids, user_id]):
        if user.id == user_id:
            return user
    raise NotFound(f"user {user_id}")


def _keep_an_admin(tx: Transaction, user: User, *, stays_admin: bool) -> None:
    if stays_admin or user.role < Role.ADMIN or not user.is_active:
        return
    others = select(User.id).where(User.role >= Role.ADMIN, User.is_active.is_(True), User.id != user.id)
    if tx.session.execute(others.limit(1)).first() is None:
        raise Conflict(f"user {user.username} is the last active administrator", field="role")


def ensure_first_admin() -> str | None:
    """Create the user `admin` if there are no users yet. Safe to repeat, and from several processes.

    Returns the generated password, to be printed once; None if there were users already, or if AIWORKER_ADMIN_PASSWORD
    is set.
    """
    with snapshot() as read:
        if read.session.execute(select(User.id).limit(1)).first() is not None:
            return None
    given = settings().security.admin_password
    password = given or secrets.token_urlsafe(12)
    if given is not None and passwords.is_well_known(given, about=["admin"]):
        log.warning("AIWORKER_ADMIN_PASSWORD is easy to guess; change it on the page, under Account")
    try:
        is_made = _insert_first_admin(passwords.hash_given(password))
    except IntegrityError:  # another process created the user at the same time
        return None
    return password if is_made and given is None else None


@transactional
def _insert_first_admin(tx: Transaction, password_hash: str) -> bool:
    if tx.session.execute(select(User.id).limit(1).with_for_update()).first() is not None:
        return False
    # Not recorded: it is nobody's act, and the start's log would be a line on the terminal of `aiworker up`.
    tx.add(User(username="admin", password_hash=password_hash, role=Role.ADMIN, created_at=tx.now()))
    return True


def _record(
    tx: Transaction, user: User, change: str, *, old_role: str | None = None, new_role: str | None = None,
    is_active: bool | None = None,
) -> None:  # fmt: skip
    tx.record(
        UserChanged(user_id=user.id, username=user.username, change=change, old_role=old_role, new_role=new_role,
                    is_active=is_active)
    )  # fmt: skip


def purge_logins() -> int:
    """Delete logins that ended more than a day ago. Returns how many. Safe to repeat."""
    with snapshot() as read:
        old = read.now() - timedelta(days=1)
    # Each by its own index.
    return sum(purge(Login.id, end < old, order=end) for end in (Login.expires_at, Login.ended_at))


def _check_username(username: str) -> None:
    if not USERNAME.fullmatch(username):
        raise Invalid("username", "Must have 1 to 64 letters, digits, dots, dashes and underscores")
    if username.lower() in _RESERVED:
        raise Invalid("username", "Is reserved for the platform")
