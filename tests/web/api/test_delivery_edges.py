"""Every edge in the transition tables of task groups and deployments is taken by a function of the lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from common.models import Deployment, TaskGroup
from common.services.delivery import lifecycle
from common.states import DEPLOYMENT_EDGES, GROUP_EDGES, By, DeploymentState, Environment, GroupState
from common.transaction import Transaction, transactional
from tests.web.world import SHA, World, forget_providers, get, put

GROUP_STEPS: dict[GroupState, Callable[[Transaction, TaskGroup], Any]] = {
    GroupState.MERGED: lifecycle.complete_merge,
    GroupState.DEPLOYING_STAGING: lifecycle.start_staging,
    GroupState.DEPLOYING_PRODUCTION: lifecycle.start_production,
    GroupState.PRODUCTION: lifecycle.reach_production,
    GroupState.FAILED: lambda tx, group: lifecycle.fail_group(tx, group, "no"),
    GroupState.CONFLICT: lambda tx, group: lifecycle.end_if_empty(tx, group, by=By.PLATFORM),
    GroupState.CANCELLED: lifecycle.cancel_group,
}
"""What brings a group without tasks to a state, unless it depends on the state before."""


@pytest.fixture
def world(plain_app: Flask) -> Iterator[World]:
    yield World(plain_app)
    forget_providers()


def group_step(old: GroupState, new: GroupState) -> Callable[[Transaction, TaskGroup], Any]:
    if new is GroupState.MERGING:
        if old is GroupState.PENDING:
            return lifecycle.start_merging
        return lambda tx, group: lifecycle.restart_merge(tx, group, *sorted(GROUP_EDGES[old, new])[:1])
    if new is GroupState.STAGING:
        if old is GroupState.DEPLOYING_STAGING:
            return lifecycle.reach_staging
        return lambda tx, group: lifecycle.return_to_staging(tx, group, "no")
    return GROUP_STEPS[new]


@transactional
def take_group_step(tx: Transaction, group_id: str, old: GroupState, new: GroupState) -> None:
    group_step(old, new)(tx, tx.lock(TaskGroup, group_id))


def test_every_edge_of_a_group_is_taken_by_a_function_of_the_lifecycle(world: World) -> None:
    project = world.project()
    (task_id,) = world.approved(project)
    group_id = world.group(project, [task_id])["id"]
    remove_task(group_id, task_id)

    for old, new in GROUP_EDGES:
        put(TaskGroup, group_id, state_=old, head_sha=SHA, base_sha=SHA)
        take_group_step(group_id, old, new)
        assert get(TaskGroup, group_id).state is new, f"{old} to {new}"


@transactional
def remove_task(tx: Transaction, group_id: str, task_id: str) -> None:
    lifecycle.lock_with_group(tx, task_id)
    lifecycle.remove_member(tx, tx.lock(TaskGroup, group_id), task_id, "removed")


@transactional
def take_deployment_step(tx: Transaction, deployment_id: str, new: DeploymentState, by_id: str) -> None:
    deployment = tx.lock(Deployment, deployment_id)
    if new is DeploymentState.IN_PROGRESS:
        lifecycle.start_deployment(tx, deployment)
    elif new is DeploymentState.COMPLETED:
        lifecycle.complete_deployment(tx, deployment, url="http://localhost:4000", barrier=None)
    elif new is DeploymentState.FAILED:
        lifecycle.fail_deployment(tx, deployment, code="given_up", reason="no")
    elif new is DeploymentState.SUPERSEDED:
        lifecycle.supersede_deployment(tx, deployment)
    else:
        rollback = tx.lock(Deployment, by_id)
        lifecycle.start_deployment(tx, rollback)
        lifecycle.complete_deployment(tx, rollback, url="http://localhost:4000", barrier=None)


def test_every_edge_of_a_deployment_is_taken_by_a_function_of_the_lifecycle(world: World) -> None:
    for number, (old, new) in enumerate(DEPLOYMENT_EDGES):
        project = world.project(f"Project {number}")
        first = world.deployment(project, Environment.STAGING)
        second = world.deployment(project, Environment.STAGING, is_live=False, rollback_of=first)
        is_active = old is not DeploymentState.COMPLETED
        place = f"{project.id}:staging"
        put(Deployment, first, state_=old, active_key=place if is_active else None)
        put(Deployment, first, live_key=None if is_active else place)
        put(Deployment, second, state_="pending")

        take_deployment_step(first, new, second)

        found = get(Deployment, first)
        assert found.state is new, f"{old} to {new}"
        assert (found.active_key is not None, found.live_key is not None) == (
            new is DeploymentState.IN_PROGRESS,
            new is DeploymentState.COMPLETED,
        )
