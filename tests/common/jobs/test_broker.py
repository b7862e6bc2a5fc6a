"""A ring is the message that Celery would send, so stock workers run it; what somebody waits for comes first, and a job
whose worker died is rung when its lease ends.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import Celery

from common.events import feed
from common.jobs import broker, catalogue
from common.jobs.announcer import announcer
from common.models.journal import Job
from common.services.activity import jobs as rows
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.e2e.instance import wait_until
from tests.job_messages import queued_job_ids
from tests.long_waits import LONG_WAIT_SECONDS

KEY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def client(on_database: str) -> redis.Redis:
    found = feed.client(timeout=60)
    found.flushall()
    return found


def _taken(client: redis.Redis, queue: catalogue.Queue) -> dict[str, Any]:
    """The next message as a worker takes it."""
    text = client.rpop(f"{settings().instance}:{queue.value}")
    assert isinstance(text, str)
    message: dict[str, Any] = json.loads(text)
    message["body"] = json.loads(base64.b64decode(message["body"]))
    return message


def _without_ids(message: dict[str, Any]) -> dict[str, Any]:
    for part, name in (
        ("headers", "id"), ("headers", "root_id"), ("headers", "origin"), ("properties", "correlation_id"),
        ("properties", "delivery_tag"),
    ):  # fmt: skip
        assert isinstance(message[part].pop(name), str)
    assert message["properties"].pop("reply_to") is not None
    return message


def _push_messages(*kinds: str) -> None:
    feed.exchange(broker.push_commands((kind, KEY) for kind in kinds))


@pytest.mark.parametrize("before_commit", [False, True])
def test_a_ring_is_what_celery_would_send(client: redis.Redis, before_commit: bool) -> None:
    app = Celery("test", set_as_current=False)
    app.config_from_object("celeryconfig")
    options = {**app.conf.broker_transport_options, "global_keyprefix": f"{settings().instance}:"}
    url = settings().store.redis_url
    app.conf.update(broker_transport_options=options, broker_url=f"redis+socket://{url.removeprefix('unix://')}")
    args = (KEY, True) if before_commit else (KEY,)
    app.send_task(catalogue.VERIFY_RUN.name, args=args, queue=catalogue.Queue.SLOW, retry=False, ignore_result=True)
    app.close()
    feed.exchange(broker.push_commands([(catalogue.VERIFY_RUN.name, KEY)], before_commit=before_commit))

    by_celery = _without_ids(_taken(client, catalogue.Queue.SLOW))
    assert _without_ids(_taken(client, catalogue.Queue.SLOW)) == by_celery


def test_a_run_that_somebody_waits_for_overtakes(client: redis.Redis) -> None:
    kinds = [catalogue.VERIFY_RUN.name, catalogue.CLOSE_RUN.name, catalogue.PREPARE_RUN.name]
    _push_messages(*kinds)

    taken = [_taken(client, catalogue.Queue.SLOW)["headers"]["task"] for _ in kinds]
    assert taken == [catalogue.PREPARE_RUN.name, catalogue.VERIFY_RUN.name, catalogue.CLOSE_RUN.name]


@transactional
def _enqueue(tx: Transaction) -> str:
    return tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


@transactional
def _end_lease(tx: Transaction, job_id: str, *, in_seconds: float) -> None:
    tx.lock(Job, job_id).lease_until = tx.now() + timedelta(seconds=in_seconds)


def test_a_job_whose_worker_died_is_rung_when_its_lease_ends(client: redis.Redis) -> None:
    job_id = _enqueue()
    assert rows.claim_job(job_id) is not None
    assert announcer().flush(LONG_WAIT_SECONDS)
    client.flushall()

    @transactional
    def swept_before_the_lease_ends(tx: Transaction) -> int:
        _end_lease(job_id, in_seconds=3)
        return rows.sweep_jobs()

    assert swept_before_the_lease_ends() == 0
    wait_until("the job to be rung", lambda: job_id in queued_job_ids(catalogue.SCHEDULE_TASKS.queue))
    assert rows.claim_job(job_id) is not None


def test_a_queue_that_nobody_reads_is_rung_no_fuller(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages would fill Redis, which would then take none for any queue."""
    monkeypatch.setattr(rows, "MOST_SWEPT", 3)

    @transactional
    def enqueue_slow(tx: Transaction, count: int) -> None:
        for number in range(count):
            tx.enqueue(catalogue.WATCH_REPOSITORY, f"project-{number}", project_id=None)

    enqueue_slow(4)
    assert announcer().flush(LONG_WAIT_SECONDS)
    for _sweep in range(5):
        rows.sweep_jobs()
        assert announcer().flush(LONG_WAIT_SECONDS)
    assert len(queued_job_ids(catalogue.WATCH_REPOSITORY.queue)) == 4

    quick = _enqueue()
    assert announcer().flush(LONG_WAIT_SECONDS)
    client.flushall()
    assert rows.sweep_jobs() == 5
    wait_until("the jobs to be rung", lambda: len(queued_job_ids(catalogue.WATCH_REPOSITORY.queue)) == 4)
    assert queued_job_ids(catalogue.SCHEDULE_TASKS.queue) == [quick]
