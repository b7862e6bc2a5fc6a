"""What becomes of a task group and its deployments, whichever way it is cancelled, rebuilt or left by a task."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from common.models import Deployment, Job, Task, TaskGroup
from common.services.activity import jobs as rows
from common.services.delivery import merging
from common.services.deployment import rollouts
from common.values.states import Environment
from tests.web.api.production_line import ProductionLine, claimed
from tests.web.world import World, all_of, events, forget_providers, get


@pytest.fixture
def line(app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(app))
    forget_providers()


def test_cancelling_a_group_ends_its_own_deployment(line: ProductionLine) -> None:
    group_id = line.merged()
    line.act(group_id, "deploy-staging")
    deployment_id = line.under_way(Environment.STAGING).id

    assert line.act(group_id, "cancel").json["taskGroup"]["status"] == "cancelled"

    ended = get(Deployment, deployment_id)
    assert (ended.state, ended.active_key, ended.finished_at is None) == ("superseded", None, False)


@pytest.mark.parametrize("verb", ["retry", "remove"])
def test_a_group_that_failed_on_staging_goes_there_again_once_it_is_rebuilt(line: ProductionLine, verb: str) -> None:
    one, two = line.task("One"), line.task("Two")
    group_id = line.merged(one, two)
    assert line.act(group_id, "deploy-staging").status_code == 202
    rollouts.fail_rollout(line.under_way(Environment.STAGING).id, "it never answered")
    failed = get(TaskGroup, group_id)
    assert (failed.state, failed.error, failed.wants_staging) == ("failed", "it never answered", False)

    assert line.act(group_id, verb, **({"taskId": one} if verb == "remove" else {})).status_code == 200

    rebuilt = get(TaskGroup, group_id)
    assert (rebuilt.state, rebuilt.wants_staging, rebuilt.error) == ("merging", True, None)
    assert (rebuilt.head_sha, rebuilt.base_sha, rebuilt.tested_sha) == (None, None, None)
    assert rebuilt.attempt == failed.attempt + 1


def test_a_task_that_leaves_a_group_on_staging_is_approved_like_those_that_stay(line: ProductionLine) -> None:
    one, two = line.task("One"), line.task("Two")
    group_id = line.staged(one, two)
    assert [get(Task, each).state for each in (one, two)] == ["staging", "staging"]

    assert line.act(group_id, "remove", taskId=one).status_code == 200

    assert [get(Task, each).state for each in (one, two)] == ["approved", "approved"]
    assert get(TaskGroup, group_id).wants_staging
    assert len([row for row in events("task-group:status_changed", of=group_id) if '"merging"' in row.data]) == 1


def give_up(line: ProductionLine, group_id: str) -> str:
    """The group's job uses up its attempts. Returns its id."""
    lease = claimed("group.merge", group_id)
    rows.give_up(lease, "given up: its worker died each time", merging.fail_merge)
    return lease.job_id


@pytest.mark.slow
def test_nothing_is_deployed_retried_or_rolled_back_in_a_project_that_is_being_deleted(line: ProductionLine) -> None:
    line.deliver()
    live = line.deliver()
    merged, staged, failed = line.merged(), line.staged(), line.world.group(line.project, [line.task()])["id"]
    give_up(line, failed)
    assert line.world.client.delete(f"/api/projects/{line.project.id}").status_code == 202
    known = {row.id for model in (Job, Deployment) for row in all_of(model)}

    for reply in (
        line.ask_back(),
        line.act(merged, "deploy-staging"),
        line.act(staged, "deploy-production"),
        line.act(failed, "retry"),
    ):
        assert (reply.status_code, reply.json["details"]["message"]) == (409, f"project {line.project.id} is deleting")

    assert {row.id for model in (Job, Deployment) for row in all_of(model)} == known
    assert line.live().id == live.id
