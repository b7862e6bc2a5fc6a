"""The logins of a person as that person sees them: where each is used, and ending them.

A login that has ended is refused at once: its access token with the next request, its refresh token too.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from common.errors import Conflict, NotFound
from common.models.account import Login
from common.services.requests.access import Caller
from common.services.requests.paging import Page, PageQuery, page_of
from common.transaction import Transaction, snapshot, transactional

LONGEST_ADDRESS, LONGEST_CLIENT = 45, 200


@dataclass(frozen=True)
class Device:
    """Where a login is used from. address: the IP address. client: what the program says of itself, such as a browser.

    None: not known.
    """

    address: str | None = None
    client: str | None = None


UNKNOWN = Device()


def note_use(tx: Transaction, login: Login, device: Device) -> None:
    """Record on a locked or a new login that it is used now, and from where."""
    login.last_used_at = tx.now()
    login.address = None if device.address is None else device.address[:LONGEST_ADDRESS]
    login.client = None if device.client is None else device.client[:LONGEST_CLIENT]


def list_sessions(by: Caller, page: PageQuery) -> Page[Login]:
    """The caller's own logins that have not ended, the newest first."""
    with snapshot() as read:
        now = read.now()
        open_ones = select(Login).where(Login.user_id == by.user_id, Login.ended_at.is_(None), Login.expires_at > now)
        return page_of(read, open_ones, Login.created_at, Login.id, page)


@transactional
def end_session(tx: Transaction, session_id: str, *, by: Caller) -> None:
    """End one of the caller's own logins, also the present one. Safe to repeat.

    NotFound for a login of somebody else, or one that is not known any more. Conflict with an API token.
    """
    logins = _own_logins(tx, by)
    login = next((one for one in logins if one.id == session_id), None)
    if login is None:
        raise NotFound(f"session {session_id}")
    end_login(tx, login)


@transactional
def end_other_sessions(tx: Transaction, *, by: Caller) -> None:
    """End all of the caller's logins but the one that the caller used. Safe to repeat. Conflict with an API token."""
    for login in _own_logins(tx, by):
        if login.id != by.token_id:
            end_login(tx, login)


def _own_logins(tx: Transaction, by: Caller) -> list[Login]:
    """All logins of the caller, locked. A program that holds an API token must not be able to end its owner's."""
    logins = lock_logins(tx, by.user_id)
    if by.token_id not in {login.id for login in logins}:
        raise Conflict("an API token can't end sessions; log in instead", field="token")
    return logins


def lock_logins(tx: Transaction, user_id: str) -> list[Login]:
    """Lock all logins of a person."""
    return tx.lock_all(Login, tx.session.scalars(select(Login.id).where(Login.user_id == user_id)).all())


def end_login(tx: Transaction, login: Login) -> None:
    """End a locked login; its tokens are refused and its open sockets closed. Safe to repeat."""
    login.ended_at = login.ended_at or tx.now()
    tx.access_changed(login.user_id)
