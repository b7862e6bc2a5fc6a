"""Deletes old rows in small batches, so that no transaction holds locks for long."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, select

from common.database import engines
from common.database.compiled_statements import AnyAttribute
from common.transaction import Transaction, transactional

BATCH = 500
MOST_BATCHES = 100
"""In one call; the next sweep goes on, so that the sweeps behind it need not wait for an instance's whole past."""


def purge(
    key: AnyAttribute, *where: ColumnElement[bool], order: AnyAttribute | None = None, at_once: int = BATCH
) -> int:
    """Delete the rows that match, each batch in a transaction of its own. Returns how many. Safe to repeat.

    key: the primary key's column, or another one that has an index and few rows of the same value. where: conditions
    that only old rows meet, which an index has. order: the column of that index after its equalities: the oldest rows
    are deleted first. at_once: rows of a batch, fewer where a row is large.
    """
    gone = 0
    for _ in range(MOST_BATCHES):
        batch = _purge_batch(key, where, order, at_once)
        gone += batch
        if batch < at_once:
            break
    return gone


def was_cut_short(gone: int, *, at_once: int = BATCH) -> bool:
    """Whether a call that deleted this many rows may have left some, as it came to MOST_BATCHES. at_once: as in it."""
    return gone >= at_once * MOST_BATCHES


@transactional
def _purge_batch(
    tx: Transaction,
    key: AnyAttribute,
    where: tuple[ColumnElement[bool], ...],
    order: AnyAttribute | None,
    at_once: int,
) -> int:
    oldest = select(key).where(*where).limit(at_once)
    ids = tx.session.scalars(oldest if order is None else oldest.order_by(order)).all()
    # The conditions again: somebody may have changed a row since.
    old = delete(key.class_).where(key.in_(ids), *where).execution_options(synchronize_session=False)
    return engines.rows_changed(tx.session, old) if ids else 0
