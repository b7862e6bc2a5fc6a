"""A ring is the message that Celery would send, so stock workers run it; what somebody waits for comes first."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import redis
from celery import Celery

from common import broker, feed, jobs
from common.settings import settings

KEY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def client(on_database: str) -> redis.Redis:
    found = feed.client()
    found.flushall()
    return found


def _taken(client: redis.Redis, queue: jobs.Queue) -> dict[str, Any]:
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


def _ring(*kinds: str) -> None:
    feed.exchange(broker.ringing((kind, KEY) for kind in kinds))


def test_a_ring_is_what_celery_would_send(client: redis.Redis) -> None:
    app = Celery("test", set_as_current=False)
    app.config_from_object("celeryconfig")
    options = {**app.conf.broker_transport_options, "global_keyprefix": f"{settings().instance}:"}
    url = settings().store.redis_url
    app.conf.update(broker_transport_options=options, broker_url=f"redis+socket://{url.removeprefix('unix://')}")
    app.send_task(jobs.VERIFY_RUN.name, args=(KEY,), queue=jobs.Queue.SLOW, retry=False, ignore_result=True)
    app.close()
    _ring(jobs.VERIFY_RUN.name)

    by_celery = _without_ids(_taken(client, jobs.Queue.SLOW))
    assert _without_ids(_taken(client, jobs.Queue.SLOW)) == by_celery


def test_a_run_that_somebody_waits_for_overtakes(client: redis.Redis) -> None:
    kinds = [jobs.VERIFY_RUN.name, jobs.CLOSE_RUN.name, jobs.PREPARE_RUN.name]
    _ring(*kinds)

    taken = [_taken(client, jobs.Queue.SLOW)["headers"]["task"] for _ in kinds]
    assert taken == [jobs.PREPARE_RUN.name, jobs.VERIFY_RUN.name, jobs.CLOSE_RUN.name]
