"""A job's message leaves before the commit, for which the claim waits; while others write, it leaves after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from common import transaction
from common.errors import CommitUnknown
from common.events import feed
from common.jobs import catalogue
from common.jobs.announcer import announcer
from common.services.activity import jobs as rows
from common.transaction import Transaction, transactional
from tests.e2e.instance import wait_until
from tests.job_messages import queued_job_ids
from tests.long_waits import LONG_WAIT_SECONDS

Before = Callable[[Callable[[], None]], None]


@pytest.fixture
def before_commit(on_database: str, monkeypatch: pytest.MonkeyPatch) -> Before:
    """Have a function run just before the next commit of this process, after what the platform does then."""
    feed.client(timeout=60).flushall()
    before = transaction.before_commit

    def have(act: Callable[[], None]) -> None:
        def both(connection: Connection, first: Callable[[], None]) -> None:
            monkeypatch.setattr(transaction, "before_commit", before)
            before(connection, lambda: (first(), act()))

        monkeypatch.setattr(transaction, "before_commit", both)

    return have


@pytest.fixture
def another_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@transactional
def _enqueue(tx: Transaction) -> str:
    return tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def _queued_job_ids() -> list[str]:
    return queued_job_ids(catalogue.SCHEDULE_TASKS.queue)


def test_a_claim_waits_for_the_commit(before_commit: Before, another_thread: ThreadPoolExecutor) -> None:
    claims: list[Future[catalogue.Lease | None]] = []

    def claim() -> None:
        wait_until("the message", lambda: len(_queued_job_ids()) == 1)
        claims.append(another_thread.submit(rows.claim_job, _queued_job_ids()[0], before_commit=True))
        wait_until("the claim to begin", lambda: len(transaction._writing) == 2)
        assert not claims[0].done()

    before_commit(claim)
    job_id = _enqueue()

    lease = claims[0].result(LONG_WAIT_SECONDS)
    assert lease is not None
    assert lease.job_id == job_id
    assert announcer().flush(LONG_WAIT_SECONDS)
    assert _queued_job_ids() == [job_id], "it is sent once"


def test_the_message_of_what_is_never_committed_finds_nothing(before_commit: Before) -> None:
    def lose() -> None:
        wait_until("the message", lambda: len(_queued_job_ids()) == 1)
        raise CommitUnknown

    before_commit(lose)
    with pytest.raises(CommitUnknown):
        _enqueue()
    (job_id,) = _queued_job_ids()
    assert rows.claim_job(job_id, before_commit=True) is None
