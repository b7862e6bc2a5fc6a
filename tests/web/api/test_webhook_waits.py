"""How long a message of the outgoing webhook waits for its tries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.jobs import SEND_WEBHOOK
from common.models import WebhookDelivery
from common.services.outgoing import delivering
from common.services.outgoing.collecting import collect_notices
from common.settings import settings
from common.states import Role
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.web.api.test_webhook import deliveries, let_time_pass, patch, reach
from tests.web.world import World, get, put, run_jobs


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    """One that fails, with pauses after which nothing becomes due by itself, however long the machine stands still."""
    monkeypatch.setattr(delivering, "DELAYS_SECONDS", tuple(86_400 for _delay in delivering.DELAYS_SECONDS))
    with WebhookReceiver() as started:
        started.status = 500
        monkeypatch.setenv("AIWORKER_OUTGOING_ALLOW", started.host)
        settings.cache_clear()
        yield started
    settings.cache_clear()


def test_a_message_that_has_waited_too_long_for_its_tries_is_given_up(world: World, receiver: WebhookReceiver) -> None:
    """While a receiver hangs, many messages wait for each other's tries."""
    admin = world.client_of("root", Role.ADMIN)
    project = world.project()
    patch(admin, url=receiver.url)
    reach(world.task(project, state="in_progress").id, "make_ready")
    collect_notices()
    (made,) = deliveries(admin)
    put(WebhookDelivery, made["id"], created_at=get(WebhookDelivery, made["id"]).created_at - delivering.LONGEST_WAIT)

    for attempt in range(delivering.LEAST_TRIES):
        (waiting,) = deliveries(admin)
        assert (waiting["state"], waiting["attempts"]) == ("waiting", attempt)
        let_time_pass(made["id"])
        run_jobs(SEND_WEBHOOK)
    (ended,) = deliveries(admin)
    assert (ended["state"], ended["attempts"]) == ("given_up", delivering.LEAST_TRIES)

    # A person gives it all tries again.
    path = f"/api/webhook/deliveries/{made['id']}/retry"
    again = admin.post(path).json["webhookDelivery"]
    assert (again["state"], again["attempts"], again["finishedAt"]) == ("waiting", 0, None)
    refused = admin.post(path)
    assert (refused.status_code, "is waiting" in refused.json["details"]["message"]) == (409, True)
    for attempt in range(delivering.LEAST_TRIES + 1):
        (waiting,) = deliveries(admin)
        assert (waiting["state"], waiting["attempts"]) == ("waiting", attempt)
        let_time_pass(made["id"])
        run_jobs(SEND_WEBHOOK)
