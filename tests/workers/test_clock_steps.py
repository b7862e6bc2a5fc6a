"""The database's clock is set back: nothing waits for the time that it showed before.

The rows are as the platform wrote them while the clock was ahead.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from common.jobs import catalogue
from common.models import (
    Job,
    Mark,
)
from common.transaction import Transaction, snapshot, transactional
from tests.workers.platform import Platform
from workers import sweeps

pytestmark = pytest.mark.slow

STEP = timedelta(hours=1)


@transactional
def written_ahead(tx: Transaction, *columns: Any) -> None:
    """As if all these times had been written while the clock was ahead."""
    for column in columns:
        for row in tx.all(select(column.class_).where(column.is_not(None))):
            setattr(row, column.key, getattr(row, column.key) + STEP)


def now() -> datetime:
    with snapshot() as read:
        return read.now()


@transactional
def waiting_job(tx: Transaction, seconds: float) -> str:
    lease = tx.queue.claim(tx.enqueue(catalogue.VERIFY_RUN, f"run-{seconds}", project_id=None))
    assert lease is not None
    tx.again(lease, after_seconds=seconds)
    return lease.job_id


@transactional
def held_job(tx: Transaction) -> str:
    lease = tx.queue.claim(tx.enqueue(catalogue.VERIFY_RUN, "held", project_id=None))
    assert lease is not None
    return lease.job_id


def test_jobs_wait_for_as_long_as_they_were_to_wait(platform: Platform) -> None:
    sweeps.sweep()
    soon, late, held = waiting_job(0.5), waiting_job(600), held_job()
    written_ahead(Mark.at, Job.next_at, Job.lease_until)

    sweeps.sweep()

    seconds = {row.id: (row.next_at - now()).total_seconds() for row in platform.all(Job)}
    assert seconds[soon] < 10
    assert 500 < seconds[late] < 610
    assert platform.get(Job, held).lease_until < now() + timedelta(seconds=catalogue.LEASE_SECONDS + 10)
    assert platform.get(Mark, "sweep").at <= now()
