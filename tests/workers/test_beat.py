"""Beat sends every sweep in time, whatever becomes of its machine's clock and disk; and workers run what it sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.beat import Scheduler, Service
from celery.worker import request as celery_requests
from kombu import Message

from common import feed, jobs
from common.settings import settings
from tests.e2e.instance import wait_until

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")

SWEEPS = {"sweep", "sweep_agents", "sweep_slowly"}


@pytest.fixture
def app(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """An app with the platform's schedule, but for its intervals."""
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AIWORKER_REDIS_URL", redis_url)
    settings.cache_clear()
    app = Celery("test", set_as_current=False)
    app.config_from_object("celeryconfig")
    options = {**app.conf.broker_transport_options, "global_keyprefix": f"{settings().instance}:"}
    app.conf.update(
        broker_transport_options=options, broker_url=f"redis+socket://{redis_url.removeprefix('unix://')}",
        beat_schedule={name: {**entry, "schedule": 0.01} for name, entry in app.conf.beat_schedule.items()},
    )  # fmt: skip
    client().flushall()
    yield app
    app.close()
    feed.close_client()
    settings.cache_clear()


def client() -> redis.Redis:
    return feed.client(timeout=60)


@pytest.fixture
def beat(app: Celery, tmp_path: Path) -> Iterator[Scheduler]:
    service = Service(app, schedule_filename=str(tmp_path / "beat-schedule"), scheduler_cls=app.conf.beat_scheduler)
    yield service.scheduler
    service.scheduler.close()


def sent_by(beat: Scheduler) -> list[dict[str, Any]]:
    """The messages that it sends, until each sweep was sent."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        beat.tick()
        while text := client().rpop(f"{settings().instance}:{jobs.Queue.SWEEP}"):
            found.append(json.loads(str(text)))
        return {one["headers"]["task"] for one in found} == SWEEPS

    wait_until("every sweep to be sent", look)
    return found


def clock_at(step: timedelta, *, stopped_at: datetime | None = None) -> type[datetime]:
    """A class of times whose clock is off by so much. stopped_at: it does not go on from there."""

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return (stopped_at.astimezone(tz) if stopped_at else datetime.now(tz)) + step

    return Stepped


@pytest.mark.parametrize("step", [timedelta(seconds=-50), timedelta(seconds=50)])
def test_a_worker_whose_clock_is_off_runs_the_sweeps(
    app: Celery, beat: Scheduler, step: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = datetime.now(UTC)
    sent = sent_by(beat)
    # However long this machine takes from the sending on: what was sent is taken at once.
    monkeypatch.setattr(celery_requests, "datetime", clock_at(step, stopped_at=begun))

    for one in sent:
        message = Message(
            base64.b64decode(one["body"]), headers=one["headers"], properties=one["properties"],
            content_type="application/json", content_encoding="utf-8",
        )  # fmt: skip
        request = celery_requests.Request(message, app=app, task=app.Task(), headers=one["headers"])
        assert not request.maybe_expire(), one["headers"]["task"]
