"""One thread renews the leases of all jobs of a process."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models import Job
from common.transaction import Transaction, transactional
from common.values.names import new_id
from tests.e2e.instance import wait_until
from tests.workers.platform import Platform
from workers.execution import leases

pytestmark = pytest.mark.slow


@transactional
def _claimed(tx: Transaction) -> Lease:
    """A claim whose lease ends in a moment."""
    lease = tx.queue.claim(tx.enqueue(catalogue.RELEASE_RUN, new_id(), project_id=None))
    assert lease is not None
    tx.lock(Job, lease.job_id).lease_until = tx.now() + timedelta(seconds=1)
    return lease


def _ends_at(platform: Platform, lease: Lease) -> datetime:
    found: datetime = platform.get(Job, lease.job_id).lease_until
    return found


def test_all_leases_of_a_process_are_renewed_by_one_thread(
    plain_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_RENEWAL_SECONDS", 0.02)
    claimed = [_claimed() for _ in range(3)]
    before = {lease: _ends_at(plain_platform, lease) for lease in claimed}
    with leases.renewed(claimed[0]), leases.renewed(claimed[1]):
        wait_until(
            "both leases to be renewed",
            lambda: all(_ends_at(plain_platform, lease) > before[lease] for lease in claimed[:2]),
        )
        assert [thread.name for thread in threading.enumerate()].count("leases") == 1
    assert _ends_at(plain_platform, claimed[2]) == before[claimed[2]]
