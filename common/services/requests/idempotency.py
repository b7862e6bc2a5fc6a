"""Idempotency keys: a request with a key takes effect once. Its answer is stored and returned to repeated requests.

The answer is committed together with the effect, because `once` opens the transaction that the use case joins. Error
answers are not stored, so the caller may send the same key again. The access checks that the first request passed are
stored, too: a repeated request has to pass them again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Insert
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import OperationalError

from common.database import engines
from common.errors import Conflict, KeyReused
from common.models.journal import IdempotencyKey
from common.secrets.sealing import seal, unseal
from common.services.requests.access import Caller, Grants, recording_grants
from common.services.upkeep.purging import purge
from common.transaction import Snapshot, Transaction, snapshot, transactional

KEPT_HOURS = 24
LONGEST_KEY = LONGEST_ROUTE = 255

_LOCK_WAIT_TIMEOUT = 1205

R = TypeVar("R")


@dataclass(frozen=True)
class KeyedRequest:
    """A request with an Idempotency-Key. owner: whose key it is: others may use the same one. caller: the person, whose
    access is checked again for a stored answer; None for an agent, which is admitted again by its token alone.
    """

    key: str
    owner: str
    caller: Caller | None
    route: str
    body_digest: str


@dataclass(frozen=True)
class Answer:
    """is_replayed: whether it was stored before."""

    status: int
    body: bytes
    is_replayed: bool


@transactional
def once(
    tx: Transaction, asked: KeyedRequest, act: Callable[[], R], render: Callable[[R], tuple[int, bytes]]
) -> Answer:
    """Call `act` and store the rendered answer, or return the stored one.

    KeyReused if the key was used with another route or body. Conflict if the first request is still under way after the
    database's lock wait (3 s). NotFound or Forbidden if the caller has lost the access that the first request had. An
    exception of `act` rolls everything back, including the key.
    """
    if not _take(tx, asked):
        earlier = tx.session.get(IdempotencyKey, (asked.owner, asked.key))
        if earlier is None:
            raise Conflict("the first request with this key has just failed; send it again", field="Idempotency-Key")
        if not _is_over(earlier, tx.now()):
            return _stored(tx, earlier, asked)
    with recording_grants() as grants:
        status, body = render(act())
    row = tx.session.get_one(IdempotencyKey, (asked.owner, asked.key))
    if status < 400:
        _store(row, asked, status, body, grants, tx.now())
    else:
        tx.session.delete(row)
    return Answer(status, body, is_replayed=False)


def find_answer(asked: KeyedRequest) -> Answer | None:
    """The stored answer; None if there is none yet. Raises as `once` does."""
    with snapshot() as read:
        earlier = read.session.get(IdempotencyKey, (asked.owner, asked.key))
        return None if earlier is None or _is_over(earlier, read.now()) else _stored(read, earlier, asked)


@transactional
def keep_answer(tx: Transaction, asked: KeyedRequest, status: int, body: bytes, grants: Grants) -> Answer:
    """Store an answer after the effect was committed, unless another one was stored meanwhile. Returns what is stored.

    For requests that wait, or that take effect once without a key, too: their effect is not part of this transaction.
    """
    if not _take(tx, asked):
        earlier = tx.session.get(IdempotencyKey, (asked.owner, asked.key))
        if earlier is not None and not _is_over(earlier, tx.now()):
            return _stored(tx, earlier, asked)
    row = tx.session.get(IdempotencyKey, (asked.owner, asked.key))
    if row is not None:
        _store(row, asked, status, body, grants, tx.now())
    return Answer(status, body, is_replayed=False)


def _is_over(row: IdempotencyKey, now: datetime) -> bool:
    return now - row.created_at > timedelta(hours=KEPT_HOURS)


def _stored(at: Snapshot | Transaction, row: IdempotencyKey, asked: KeyedRequest) -> Answer:
    if (row.route, row.body_digest) != (asked.route[:LONGEST_ROUTE], asked.body_digest):
        raise KeyReused(f"Idempotency-Key {asked.key} was used with another request")
    if asked.caller is not None:
        asked.caller.require_again(at, row.grants or {})
    return Answer(row.status, str(unseal(row.body.decode())).encode(), is_replayed=True)


def _store(
    row: IdempotencyKey, asked: KeyedRequest, status: int, body: bytes, grants: Grants, now: datetime
) -> None:  # fmt: skip
    row.route, row.body_digest, row.created_at = asked.route[:LONGEST_ROUTE], asked.body_digest, now
    # Sealed, because an answer may contain a token that is shown once, or a project's variables.
    row.status, row.body, row.grants = status, seal(body.decode()).encode(), dict(grants)


def _take(tx: Transaction, asked: KeyedRequest) -> bool:
    """Insert the key. Returns False if it exists. Waits for another open transaction that has inserted it."""
    values: dict[str, object] = {
        "caller": asked.owner, "key": asked.key, "route": asked.route[:LONGEST_ROUTE],
        "body_digest": asked.body_digest, "status": 0, "body": b"", "created_at": tx.now(),
    }  # fmt: skip
    insert: Insert
    if engines.is_sqlite():
        insert = sqlite.insert(IdempotencyKey).values(values).on_conflict_do_nothing()
    else:
        insert = mysql.insert(IdempotencyKey).values(values).prefix_with("IGNORE")
    try:
        return bool(engines.rows_changed(tx.session, insert))
    except OperationalError as error:
        if getattr(error.orig, "args", (None,))[0] != _LOCK_WAIT_TIMEOUT:
            raise
        raise Conflict("the first request with this key is still under way", field="Idempotency-Key") from error


def purge_idempotency_keys() -> int:
    """Delete keys older than KEPT_HOURS. Returns how many. Safe to repeat."""
    with snapshot() as read:
        old = read.now() - timedelta(hours=KEPT_HOURS)
    # By their time, as the primary key has two columns.
    return purge(IdempotencyKey.created_at, IdempotencyKey.created_at < old, order=IdempotencyKey.created_at)
