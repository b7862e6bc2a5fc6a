"""Idempotency keys: a request with a key takes effect once. Its answer is stored and returned to repeated requests.

The answer is committed together with the effect, because `once` opens the transaction that the use case joins. Error
answers are not stored, so the caller may send the same key again. The access checks that the first request passed are
stored, too: a repeated request has to pass them again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import Insert, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import OperationalError

from common import database
from common.errors import Conflict, KeyReused
from common.models.journal import IdempotencyKey
from common.sealing import seal, unseal
from common.services.access import Caller, noting_grants
from common.services.purging import purge
from common.transaction import Transaction, snapshot, transactional

KEPT_HOURS = 24
LONGEST_KEY = 255

_LOCK_WAIT_TIMEOUT = 1205

R = TypeVar("R")


@transactional
def once(
    tx: Transaction,
    key: str,
    caller: Caller,
    route: str,
    body_digest: str,
    act: Callable[[], R],
    render: Callable[[R], tuple[int, bytes]],
) -> tuple[int, bytes, bool]:
    """Call `act` and store the rendered answer, or return the stored one: (status, body, whether it was stored).

    KeyReused if the key was used with another route or body. Conflict if the first request is still under way after the
    database's lock wait (3 s). NotFound or Forbidden if the caller has lost the access that the first request had. An
    exception of `act` rolls everything back, including the key.
    """
    owner = f"user:{caller.user_id}"
    if not _take(tx, key, owner, route, body_digest):
        earlier = tx.session.execute(select(IdempotencyKey).filter_by(caller=owner, key=key)).scalar_one_or_none()
        if earlier is None:
            raise Conflict("the first request with this key has just failed; send it again", field="Idempotency-Key")
        if tx.now() - earlier.created_at <= timedelta(hours=KEPT_HOURS):
            if (earlier.route, earlier.body_digest) != (route, body_digest):
                raise KeyReused(f"Idempotency-Key {key} was used with another request")
            caller.require_again(tx, earlier.grants or {})
            return earlier.status, str(unseal(earlier.body.decode())).encode(), True
        earlier.route, earlier.body_digest, earlier.created_at = route, body_digest, tx.now()
    with noting_grants() as grants:
        status, body = render(act())
    row = tx.session.get_one(IdempotencyKey, (owner, key))
    if status < 400:
        # Sealed, because an answer may contain a token that is shown once, or a project's variables.
        row.status, row.body, row.grants = status, seal(body.decode()).encode(), dict(grants)
    else:
        tx.session.delete(row)
    return status, body, False


def _take(tx: Transaction, key: str, caller: str, route: str, body_digest: str) -> bool:
    """Insert the key. Returns False if it exists. Waits for another open transaction that has inserted it."""
    values: dict[str, object] = {
        "caller": caller, "key": key, "route": route[:255], "body_digest": body_digest, "status": 0, "body": b"",
        "created_at": tx.now(),
    }  # fmt: skip
    insert: Insert
    if database.is_sqlite():
        insert = sqlite.insert(IdempotencyKey).values(values).on_conflict_do_nothing()
    else:
        insert = mysql.insert(IdempotencyKey).values(values).prefix_with("IGNORE")
    try:
        return bool(database.rows_changed(tx.session, insert))
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
