"""A COMMIT whose answer is lost is never repeated: a real MariaDB behind a proxy that cuts the connection there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select

from common.database import engines
from common.errors import Busy, CommitUnknown
from common.events.catalogue import TaskCreated
from common.jobs import catalogue
from common.models import Job
from common.models.journal import EventRow
from common.services.activity import jobs as rows
from common.transaction import Transaction, snapshot, transactional
from common.values.states import JobState
from tests.common.test_transaction import _record
from tests.database_proxy import DatabaseProxy
from workers.execution.job_run import Claimed, run_job


@pytest.fixture
def proxy(mariadb_database_url: str, use_database: Callable[[str], None]) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(mariadb_database_url) as made:
        use_database(made.url)
        # A new connection commits its session's settings.
        engines.engine().connect().close()
        yield made


def _events() -> int:
    with snapshot() as read:
        return read.session.execute(select(func.count()).select_from(EventRow)).scalar_one()


def test_a_lost_answer_is_not_a_second_try(proxy: DatabaseProxy) -> None:
    proxy.lose("answer")

    with pytest.raises(CommitUnknown, match="may have been made"):
        _record("p", "once")

    assert (proxy.lost, _events()) == (["answer"], 1)


@pytest.mark.parametrize(("lost", "tries"), [("answer", 1), ("request", 2)])
def test_a_job_whose_commit_is_unknown_has_its_effect_once(proxy: DatabaseProxy, lost: str, tries: int) -> None:
    """Recorded: the job is no longer this worker's, and stays done. Not recorded: it is done again."""
    job_id = _enqueue()
    done: list[str] = []

    @transactional
    def record_result(tx: Transaction, claimed: Claimed) -> None:
        tx.record(TaskCreated(feed="p", task_id="t", project_id="p", title="t"))
        tx.finish(claimed.lease)

    def work(claimed: Claimed) -> None:
        done.append(claimed.subject_id)
        if len(done) == 1:
            proxy.lose(lost)
        record_result(claimed)

    run_job(job_id, work, None)
    if tries == 2:
        _make_due(job_id)
    run_job(job_id, work, None)

    assert (proxy.lost, len(done), _events()) == ([lost], tries, 1)
    with snapshot() as read:
        job = read.get(Job, job_id)
        assert job is not None
        assert (job.state, job.error) == (JobState.DONE, None)


def test_a_claim_whose_commit_is_unknown_is_nobodys_until_its_lease_ends(proxy: DatabaseProxy) -> None:
    job_id = _enqueue()
    proxy.lose("answer")

    with pytest.raises(Busy):
        rows.claim_job(job_id)

    assert rows.claim_job(job_id) is None
    with snapshot() as read:
        job = read.get(Job, job_id)
        assert job is not None
        assert (job.fence, job.attempts) == (1, 1)
    _make_due(job_id)
    lease = rows.claim_job(job_id)
    assert lease is not None
    assert lease.fence == 2


@transactional
def _enqueue(tx: Transaction) -> str:
    return tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


@transactional
def _make_due(tx: Transaction, job_id: str) -> None:
    """Let the back-off and the lease be over."""
    job = tx.lock(Job, job_id)
    job.next_at = tx.now()
    job.lease_until = None
