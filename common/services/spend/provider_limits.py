"""Limits of providers as they concern a run: marks the run whose calls are refused until a time.

The run's end parks its task until then: common/services/runs/run_end.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from common.models.run import Run
from common.transaction import Transaction, transactional

FIRST_GUESS = timedelta(minutes=1)
LONGEST_GUESS = timedelta(minutes=30)
MOST_LOOKED_AT = 10
"""Runs that a guess looks back at: with the tenth it has long been LONGEST_GUESS."""


@transactional
def mark_limited(tx: Transaction, run_id: str, until: datetime | None, reason: str) -> datetime:
    """Mark the run as limited, and return until when. Safe to repeat: a later time stays.

    until: None if the provider does not say: then a guess, which doubles with each run of the task in a row that was
    limited and got nothing done.
    """
    run = tx.lock(Run, run_id)
    ends_at = until or tx.now() + _guess(tx, run)
    if run.limited_until is None or run.limited_until < ends_at:
        run.limited_until, run.limit_reason = ends_at, reason
    return run.limited_until


@transactional
def clear_limit(tx: Transaction, run_id: str) -> None:
    """The limit of the run is over, and a call of it went well."""
    run = tx.lock(Run, run_id)
    if run.limited_until is not None and run.limited_until <= tx.now():
        run.limited_until = run.limit_reason = None


def _guess(tx: Transaction, run: Run) -> timedelta:
    earlier = (
        select(Run.limited_until, Run.usage)
        .where(Run.task_id == run.task_id, Run.purpose == run.purpose, Run.id != run.id)
        .where(Run.created_at <= run.created_at)
        .order_by(Run.created_at.desc(), Run.id.desc())
        .limit(MOST_LOOKED_AT)
    )
    guess = FIRST_GUESS
    if run.usage.get("outputTokens", 0) > 0:
        return guess
    for limited_until, usage in tx.session.execute(earlier):
        if limited_until is None:
            break
        guess *= 2
        if usage.get("outputTokens", 0) > 0:
            break
    return min(guess, LONGEST_GUESS)
