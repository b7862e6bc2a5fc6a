"""What changes of a group without a change of its state is on record, and asks a person where it has to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from common.models import TaskGroup, WebhookDelivery
from common.services.outgoing.collecting import collect_notices
from common.states import Role
from tests.web.api.production_line import ProductionLine
from tests.web.world import World, all_of, events, forget_providers, get


@pytest.fixture
def line(app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(app))
    forget_providers()


def updates(group_id: str) -> list[dict[str, Any]]:
    """What the events of the group's changes say besides its id, oldest first."""
    found = [json.loads(row.data)["data"] for row in events("task-group:updated", group=group_id)]
    return [{name: value for name, value in one.items() if name != "taskGroupId"} for one in found]


def releases(line: ProductionLine) -> list[tuple[str, str, str | None]]:
    items = line.world.client.get("/api/inbox").json["items"]
    return [(item["taskGroupId"], item["state"], item["detail"]) for item in items if item["kind"] == "release"]


@pytest.mark.slow
def test_a_group_that_may_not_go_to_staging_asks_a_person(line: ProductionLine) -> None:
    webhook = {"url": "https://chat.example.org/hooks/abc", "kinds": ["release"]}
    assert line.world.client_of("root", Role.ADMIN).patch("/api/webhook", json=webhook).status_code == 200
    line.deliver()
    line.deliver()
    early = line.merged(targetBranch="production")
    line.roll_back()
    assert updates(early) == []
    collect_notices()
    known = {row.id for row in all_of(WebhookDelivery)}
    line.after_merge(early)

    group = get(TaskGroup, early)
    assert (group.state, group.wants_staging) == ("merged", False)
    assert updates(early) == [{"changed": ["error", "wantsStaging"]}]
    assert (early, "merged", group.error) in releases(line)
    assert collect_notices() == 1
    (message,) = (json.loads(row.body)["data"] for row in all_of(WebhookDelivery) if row.id not in known)
    assert (message["kind"], message["taskGroupId"], message["detail"]) == ("release", early, group.error)
