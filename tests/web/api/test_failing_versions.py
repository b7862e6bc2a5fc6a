"""A live version that does not stay up: the events, the list of what waits for a person, and the webhook's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from common.jobs.catalogue import RESTORE_RUNTIME
from common.models import Deployment, EventRow, WebhookDelivery
from common.services.deployment import restoring
from common.services.outgoing_webhook.collecting import collect_notices
from common.values.delivery.health_check import HealthObservation, HealthState
from common.values.states import Environment, Role
from tests.web.api.production_line import ProductionLine, claimed, ring_restore
from tests.web.world import World, all_of, forget_providers, get

REASON = "it keeps dying"


@pytest.fixture
def line(app: Flask) -> Iterator[ProductionLine]:
    made = ProductionLine(World(app))
    webhook = {"url": "https://chat.example.org/hooks/abc", "kinds": ["release"]}
    assert made.world.client_of("root", Role.ADMIN).patch("/api/webhook", json=webhook).status_code == 200
    yield made
    forget_providers()


def recorded(*names: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(name, actor, data) of the events of these names, oldest first."""
    found = sorted(all_of(EventRow, EventRow.name.in_(names)), key=lambda row: row.seq)
    return [(row.name, row.actor, json.loads(row.data)["data"]) for row in found]


def waiting(line: ProductionLine) -> list[dict[str, Any]]:
    items = line.world.client.get("/api/inbox").json["items"]
    return [item for item in items if item["kind"] == "failing"]


def messages() -> list[dict[str, Any]]:
    """The data of the messages made since the last call."""
    known = {row.id for row in all_of(WebhookDelivery)}
    collect_notices()
    new = sorted((row for row in all_of(WebhookDelivery) if row.id not in known), key=lambda row: row.id)
    return [json.loads(row.body)["data"] for row in new]


def look(line: ProductionLine, state: HealthState) -> None:
    """The platform looks at what is live and finds this."""
    ring_restore()
    restoring.record_restored(claimed(RESTORE_RUNTIME.name, "platform"), [], [HealthObservation(line.live().id, state)])


@pytest.mark.slow
def test_a_version_that_can_not_be_rolled_back_is_told_of_once_until_it_is_well_again(line: ProductionLine) -> None:
    live = line.deliver()
    look(line, HealthState.HEALTHY)
    messages()
    for _ in range(2):
        assert line.look_at_dying() is None

    about = {"deploymentId": live.id, "environment": "production"}
    assert recorded("deploy:failing") == [("deploy:failing", "platform", {**about, "error": REASON})]
    (item,) = waiting(line)
    assert (item["title"], item["state"], item["detail"]) == ("production", "failing", REASON)
    assert (item["deploymentId"], item["taskGroupId"]) == (live.id, None)
    (message,) = messages()
    assert (message["kind"], message["title"], message["detail"]) == ("release", "production", REASON)
    assert message["deploymentId"] == live.id

    look(line, HealthState.STARTING)
    assert recorded("deploy:recovered") == []
    for _ in range(2):
        look(line, HealthState.HEALTHY)
    assert recorded("deploy:recovered") == [("deploy:recovered", "platform", about)]
    assert (line.live().error, waiting(line), messages()) == (None, [], [])


@pytest.mark.slow
def test_what_keeps_a_healthy_version_from_being_started_again_takes_no_version_back(line: ProductionLine) -> None:
    line.deliver()
    live = line.deliver()
    reason = "the setup command failed: it exited with 1: could not resolve host: registry.example"
    ring_restore()
    restoring.record_restored(
        claimed(RESTORE_RUNTIME.name, "platform"), [restoring.FailingVersion(live.id, reason, "setup_failed")]
    )

    assert recorded("deploy:rollback_requested") == []
    assert [item["detail"] for item in waiting(line)] == [f"{restoring.NOT_STARTED}: {reason}"]
    look(line, HealthState.HEALTHY)
    assert (line.live().id, line.live().error, waiting(line)) == (live.id, None, [])

    # What then dies by itself goes back.
    assert line.die() is not None


def test_versions_of_many_projects_that_fail_together_are_not_rolled_back(plain_world: World) -> None:
    live = []
    for name in ("One", "Two", "Three"):
        project = plain_world.project(name)
        plain_world.deployment(
            project, Environment.PRODUCTION, commit_sha="b" * 40, state="superseded", is_live=False
        )  # fmt: skip
        live.append(plain_world.deployment(project, Environment.PRODUCTION))

    def fail(*ids: str) -> list[Deployment]:
        ring_restore()
        dying = [restoring.FailingVersion(one, REASON, "keeps_dying") for one in ids]
        restoring.record_restored(claimed(RESTORE_RUNTIME.name, "platform"), dying)
        found: list[Deployment] = all_of(Deployment, Deployment.rollback_of.is_not(None))
        return found

    assert fail(*live) == []
    assert [get(Deployment, one).error for one in live] == [f"{restoring.NOT_TO_BLAME}: {REASON}"] * 3

    assert [rollback.rollback_of for rollback in fail(live[0])] == [live[0]]
