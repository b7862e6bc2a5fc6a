"""What a rollback holds up, what it never goes back to, and what undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from common.models import Deployment, Task, TaskGroup
from common.services.deployment import rollouts
from common.values.states import Role
from tests.web.api.production_line import ProductionLine
from tests.web.factories import MISSING_ID
from tests.web.world import World, all_of, forget_providers, get, put


@pytest.fixture
def line(app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(app))
    forget_providers()


@pytest.fixture
def plain_line(plain_app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(plain_app))
    forget_providers()


def refused(reply: Any, field: str = "acceptRolledBack") -> str:
    """Why the reply is a 409."""
    assert (reply.status_code, reply.json["details"]["field"]) == (409, field), reply.json
    message: str = reply.json["details"]["message"]
    return message


@pytest.mark.slow
def test_a_group_made_before_a_rollback_asks_again(line: ProductionLine) -> None:
    line.deliver()
    bad = line.deliver()
    early = line.staged()
    line.roll_back()

    verb = "deploy-production"
    assert bad.commit_sha[:12] in refused(line.act(early, verb))

    assert get(TaskGroup, early).state == "staging"
    assert line.live().commit_sha != bad.commit_sha
    accepted = line.act(early, verb, acceptRolledBack=True)
    assert accepted.status_code == 202
    assert line.act(early, verb, acceptRolledBack="yes").status_code == 400


@pytest.mark.slow
def test_a_rollback_under_way_holds_up_a_group_and_one_that_fails_does_not(plain_line: ProductionLine) -> None:
    line = plain_line
    line.deliver()
    line.deliver()
    group = line.staged()
    back = line.ask_back().json["rollbackDeploymentId"]
    refused(line.act(group, "deploy-production"), "environment")
    rollouts.fail_rollout(back, "it never answered")
    assert line.act(group, "deploy-production").status_code == 202
    refused(line.ask_back(), "environment")


@pytest.mark.slow
def test_a_rollback_that_failed_begins_again_after_a_pause_that_grows(line: ProductionLine) -> None:
    """As where something that all versions need is away: each try writes a row and events, which are kept."""
    good, bad = line.deliver(), line.deliver()
    for pause_seconds in (60, 120):
        rollback = line.look_at_dying()
        assert rollback is not None
        assert rollback.commit_sha == good.commit_sha
        line.fail(rollback, "the database is away")

        assert line.look_at_dying() is None
        told = str(get(Deployment, bad.id).error)
        assert told.startswith(f"it keeps dying; the rollback to {good.commit_sha[:12]} failed, too")
        assert told.endswith("the database is away")
        ended = get(Deployment, rollback.id).finished_at
        _rollbacks_ended(bad, ended - timedelta(seconds=pause_seconds - 30))
        assert line.look_at_dying() is None
        _rollbacks_ended(bad, ended - timedelta(seconds=pause_seconds))

    back = line.die()
    assert back is not None
    assert line.live().commit_sha == good.commit_sha


def _rollbacks_ended(bad: Deployment, at: datetime) -> None:
    for rollback in all_of(Deployment, Deployment.rollback_of == bad.id):
        put(Deployment, rollback.id, finished_at=at)


@pytest.mark.slow
def test_a_plan_says_what_a_rollback_would_do_and_does_nothing(line: ProductionLine) -> None:
    client = line.world.client
    only = line.deliver(line.task("One"))
    path = f"/api/deployments/{only.id}/rollback"
    nowhere = client.get(path).json["rollback"]
    assert (nowhere["target"], nowhere["commits"], nowhere["tasks"]) == (None, [], [])
    assert "has no version before" in nowhere["reason"]
    assert only.id not in nowhere["reason"]

    two, three = line.task("Two"), line.task("Three")
    second = line.deliver(two)
    third = line.deliver(three)
    started = len(all_of(Deployment))
    path = f"/api/deployments/{third.id}/rollback"
    plan = client.get(path).json["rollback"]
    further = client.get(f"{path}?toDeploymentId={only.id}").json["rollback"]

    assert (plan["target"]["id"], plan["reason"], plan["commits"]) == (second.id, None, [third.commit_sha])
    assert plan["tasks"] == [{"id": three, "title": "Three"}]
    assert (further["target"]["id"], further["commits"]) == (only.id, [second.commit_sha, third.commit_sha])
    assert [task["id"] for task in further["tasks"]] == [two, three]
    assert len(all_of(Deployment)) == started


def test_only_who_may_roll_back_sees_the_plan(plain_line: ProductionLine) -> None:
    live = plain_line.deliver()
    path = f"/api/deployments/{live.id}/rollback"
    assert plain_line.world.client_of("mia", Role.MEMBER).get(path).status_code in {403, 404}
    assert plain_line.world.client.get(path.replace(live.id, MISSING_ID)).status_code == 404
    assert plain_line.world.client.get(f"{path}?toDeploymentId={MISSING_ID}").status_code == 404


@pytest.mark.slow
def test_what_a_revert_took_out_stays_taken_back(plain_line: ProductionLine) -> None:
    line = plain_line
    wrong = line.task("Wrong")
    line.deliver()
    bad = line.deliver(wrong)
    line.roll_back()
    revert = line.task("Take it out", labels=["revert"])
    reverted = line.deliver(revert)
    line.deliver()
    assert line.rolled_back(wrong)
    assert not line.rolled_back(revert)
    line.roll_back(to=bad)
    assert not line.rolled_back(wrong)
    assert line.rolled_back(revert)
    line.roll_back(to=reverted)
    assert (line.rolled_back(wrong), line.rolled_back(revert)) == (True, False)


def ask(line: ProductionLine, *task_ids: str, **values: Any) -> Any:
    body = {"projectId": line.project.id, "taskIds": list(task_ids), **values}
    return line.world.client.post("/api/task-groups", json=body)


@pytest.mark.parametrize("state", ["in_progress", "cancelled"])
def test_a_group_without_what_its_task_needs_is_refused(plain_line: ProductionLine, state: str) -> None:
    line = plain_line
    needed = line.task("Needed")
    task = line.task("Dependent", depends_on=[needed])
    put(Task, needed, state_=state, phase_="queued" if state == "in_progress" else None)

    message = refused(ask(line, task), "taskIds")

    assert "'Dependent'" in message
    assert "'Needed'" in message
    assert f"is {state}" in message
    assert ask(line, task, acceptRolledBack=True).status_code == 409, "nothing was rolled back"


def test_a_group_merges_each_task_after_what_it_needs(line: ProductionLine) -> None:
    base = line.task("Base")
    middle = line.task("Middle", depends_on=[base])
    other = line.task("Other")
    top = line.task("Top", depends_on=[base, middle])
    made = ask(line, top, other, middle, base).json["taskGroup"]
    assert made["taskIds"] == [other, base, middle, top]
    assert line.world.client.get(f"/api/task-groups/{made['id']}").json["taskGroup"]["taskIds"] == made["taskIds"]


@pytest.mark.slow
def test_what_a_task_needs_must_still_be_in_production(plain_line: ProductionLine) -> None:
    line = plain_line
    needed = line.task("Needed")
    early = line.task("Early", depends_on=[needed])
    line.deliver()
    line.deliver(needed)
    staged = line.staged(early)
    line.roll_back()
    assert line.act(staged, "deploy-production").status_code == 409
    line.act(staged, "cancel")
    reverted = line.task("Take it out", labels=["revert"])
    refused(ask(line, reverted, early), "acceptRolledBack")
    line.deliver(reverted)
    assert "'Needed'" in refused(ask(line, early), "acceptRolledBack")
    assert ask(line, early, acceptRolledBack=True).status_code == 201
