"""While the outgoing webhook's receiver does not answer, its messages share their tries and say why they wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from common.jobs import SEND_WEBHOOK
from common.models import Job, Project
from common.models.spend import PlatformSetting
from common.services.outgoing import delivering, silences
from common.services.outgoing.collecting import collect_notices
from common.services.outgoing.silences import SILENCE
from common.settings import settings
from common.states import Role
from common.transaction import Transaction, transactional
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.web.api.test_webhook import deliveries, patch, reach
from tests.web.world import World, all_of, put, run_jobs

SILENT = "127.0.0.1 did not answer ("


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    """One that does not answer, with pauses after which nothing becomes due by itself, however long the machine stands
    still.
    """
    monkeypatch.setattr(delivering, "DELAYS_SECONDS", tuple(86_400 for _delay in delivering.DELAYS_SECONDS))
    monkeypatch.setattr(silences, "PAUSES_SECONDS", (86_400,))
    with WebhookReceiver() as started:
        started.is_silent = True
        monkeypatch.setenv("AIWORKER_OUTGOING_ALLOW", started.host)
        settings.cache_clear()
        yield started
    settings.cache_clear()


@pytest.fixture
def admin(plain_world: World, receiver: WebhookReceiver) -> FlaskClient:
    client = plain_world.client_of("root", Role.ADMIN)
    patch(client, url=receiver.url)
    return client


def make_messages(world: World, number: int) -> None:
    project = world.project(f"Project {len(all_of(Project))}")
    for _ in range(number):
        reach(world.task(project, state="in_progress").id, "make_ready")
    collect_notices()


def send(times: int) -> None:
    for _ in range(times):
        run_jobs(SEND_WEBHOOK)


def silence() -> PlatformSetting:
    found: PlatformSetting = all_of(PlatformSetting, PlatformSetting.name == SILENCE)[0]
    return found


@transactional
def change_silence(tx: Transaction, /, **changes: object) -> None:
    row = tx.session.get(PlatformSetting, SILENCE)
    assert row is not None
    row.value = {**row.value, **changes}


def let_the_pause_end() -> None:
    change_silence(until=silence().changed_at.isoformat())
    for job in all_of(Job, Job.kind == SEND_WEBHOOK.name, Job.state_ == "queued"):
        put(Job, job.id, next_at=job.created_at)


def tries(admin: FlaskClient) -> list[int]:
    return sorted(one["attempts"] for one in deliveries(admin))


def states(admin: FlaskClient) -> list[str]:
    return [one["state"] for one in deliveries(admin)]


def test_one_message_is_tried_for_all_and_the_others_say_why_they_wait(plain_world: World, admin: FlaskClient) -> None:
    make_messages(plain_world, 3)

    send(2)

    found = deliveries(admin)
    assert (tries(admin), states(admin)) == ([0, 0, 1], ["waiting"] * 3)
    why = {one["attempts"]: str(one["error"]) for one in found}
    assert why[1].startswith(SILENT)
    assert why[0] == f"waits, as the receiver does not answer: {why[1]}"
    assert min(one["nextAt"] for one in found) > max(one["createdAt"] for one in found)

    # What comes meanwhile waits with them, and each pause ends with one try.
    make_messages(plain_world, 1)
    send(2)
    assert tries(admin) == [0, 0, 0, 1]
    let_the_pause_end()
    send(2)
    assert tries(admin) == [0, 0, 1, 1]
