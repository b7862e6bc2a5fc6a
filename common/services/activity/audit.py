"""The audit: every feed's events, sealed in ranges, so that none can be changed, added or left out unnoticed.

The sweep seals what is new: a signed statement of the range's numbers and a digest of its rows, which names the seal
before it. Old events are deleted in whole ranges, and a signed statement says so: what was purged is told from what was
removed. Each receipt names the newest seal of its project, so seals can't be made anew without it, either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import func, select

from common.models.journal import AuditSeal, EventRow, Feed
from common.secrets.signing import digest_of, sign
from common.secrets.statement_types import AUDIT_TYPE, STATEMENT_TYPE
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.json_codec import Json

log = structlog.get_logger()

RANGE, PURGE = "range", "purge"
RANGE_EVENTS = 500
"""Most events of one range: what is read and signed at once, and the least that is purged at once."""
MOST_RANGES = 100
"""In one call of `seal_events`; the next sweep goes on with a long past."""


def seal_events() -> int:
    """Seal the events that have no seal yet. Returns how many. Safe to repeat at any time."""
    newest = (
        select(AuditSeal.last_seq)
        .where(AuditSeal.feed_id == Feed.id, AuditSeal.kind == RANGE)
        .order_by(AuditSeal.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    with snapshot() as read:
        feed_ids = read.session.scalars(select(Feed.id).where(Feed.seq > func.coalesce(newest, 0))).all()
    sealed = ranges = 0
    for feed_id in feed_ids:
        while ranges < MOST_RANGES and (number := _seal_range(feed_id)):
            sealed, ranges = sealed + number, ranges + 1
    return sealed


@transactional
def seal_purge(tx: Transaction, feed_id: str, upto_seq: int) -> int:
    """State that events up to upto_seq are deleted, in this transaction, by the caller.

    Returns the number of the last one that is to be deleted, which is the end of a range; 0: none.
    """
    if not upto_seq:
        return 0
    while _sealed_upto(tx, feed_id) < upto_seq and _seal_range(feed_id, upto_seq=upto_seq):
        pass
    # From here on nobody else adds a seal.
    tx.lock_all(Feed, [feed_id])
    last = tx.find(
        select(AuditSeal)
        .where(AuditSeal.feed_id == feed_id, AuditSeal.kind == RANGE, AuditSeal.last_seq <= upto_seq)
        .order_by(AuditSeal.number.desc())
        .limit(1)
    )
    first = _first_seq(tx, feed_id)
    if last is None or first is None or last.last_seq < first:
        return 0
    _add(tx, feed_id, _newest(tx, feed_id), PURGE, first, last.last_seq, last.digest)
    return last.last_seq


def head_of(tx: Transaction, feed_id: str) -> dict[str, Json] | None:
    """The newest seal of the feed, for a receipt to name: number and sha256. None if there is none yet."""
    newest = _newest(tx, feed_id)
    return None if newest is None else {"number": newest.number, "sha256": newest.digest}


@transactional
def _seal_range(tx: Transaction, feed_id: str, *, upto_seq: int | None = None) -> int:
    """Seal the next events, up to upto_seq. Returns how many; 0 if there are none, or somebody else seals them now."""
    before = _newest(tx, feed_id)
    query = select(*_COLUMNS).where(EventRow.feed_id == feed_id, EventRow.seq > _sealed_upto(tx, feed_id))
    if upto_seq is not None:
        query = query.where(EventRow.seq <= upto_seq)
    rows = tx.session.execute(query.order_by(EventRow.seq).limit(RANGE_EVENTS)).all()
    if not rows:
        return 0
    digest = _digest([tuple(row) for row in rows])
    # Whoever holds this row is the only one who adds a seal. The events are read before, as writers wait for it, too.
    tx.lock_all(Feed, [feed_id])
    newest = _newest(tx, feed_id)
    if (newest and newest.number) != (before and before.number):
        return 0
    made = _add(tx, feed_id, before, RANGE, rows[0].seq, rows[-1].seq, digest)
    # Where logs are kept elsewhere, they tell that the newest seals were taken away: `aiworker audit verify --seal`.
    log.info("events sealed", seal=f"{feed_id}:{made.number}:{made.digest}")
    return len(rows)


def _add(
    tx: Transaction, feed_id: str, before: AuditSeal | None, kind: str, first_seq: int, last_seq: int, digest: str
) -> AuditSeal:
    number = 1 if before is None else before.number + 1
    said: dict[str, Json] = {
        "kind": kind, "feed": feed_id, "number": number, "previous": before.digest if before else None,
        "firstSeq": first_seq, "lastSeq": last_seq, "at": tx.now().isoformat(),
    }  # fmt: skip
    subject = {"name": f"{feed_id}/{first_seq}-{last_seq}", "digest": {"sha256": digest}}
    statement = {"_type": STATEMENT_TYPE, "subject": [subject], "predicateType": AUDIT_TYPE, "predicate": said}
    envelope = sign(statement)
    return tx.add(
        AuditSeal(
            feed_id=feed_id, number=number, kind=kind, first_seq=first_seq, last_seq=last_seq, envelope=envelope,
            digest=digest_of(envelope), at=tx.now(),
        )
    )  # fmt: skip


_COLUMNS = (
    EventRow.seq, EventRow.name, EventRow.task_id, EventRow.data, EventRow.actor, EventRow.request_id, EventRow.at
)  # fmt: skip


def digest_of_range(at: Snapshot | Transaction, feed_id: str, first_seq: int, last_seq: int) -> tuple[int, str]:
    """How many events of the range there are, and the SHA-256 over them in their order."""
    query = select(*_COLUMNS).where(
        EventRow.feed_id == feed_id, EventRow.seq >= first_seq, EventRow.seq <= last_seq
    )  # fmt: skip
    rows = at.session.execute(query.order_by(EventRow.seq)).all()
    return len(rows), _digest([tuple(row) for row in rows])


def _digest(rows: Sequence[tuple[object, ...]]) -> str:
    """SHA-256 over the rows, each a line of JSON."""
    found = hashlib.sha256()
    for *fields, at in rows:
        assert isinstance(at, datetime)
        found.update(json.dumps([*fields, at.isoformat()], separators=(",", ":")).encode() + b"\n")
    return found.hexdigest()


def _newest(at: Transaction | Snapshot, feed_id: str) -> AuditSeal | None:
    return at.find(
        select(AuditSeal).where(AuditSeal.feed_id == feed_id).order_by(AuditSeal.number.desc()).limit(1)
    )  # fmt: skip


def _sealed_upto(tx: Transaction, feed_id: str) -> int:
    ranges = select(AuditSeal.last_seq).where(AuditSeal.feed_id == feed_id, AuditSeal.kind == RANGE)
    return tx.session.scalars(ranges.order_by(AuditSeal.number.desc()).limit(1)).first() or 0


def _first_seq(tx: Transaction, feed_id: str) -> int | None:
    return tx.session.scalars(select(func.min(EventRow.seq)).where(EventRow.feed_id == feed_id)).first()
