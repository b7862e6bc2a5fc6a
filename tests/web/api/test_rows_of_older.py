"""Rows that an older AiWorker wrote: its deployments can be gone back to, its groups go on where they were."""

from __future__ import annotations

import json

from sqlalchemy import text

from common.database import engine
from common.models import Deployment, TaskGroup
from common.sealing import seal
from common.services.delivery.deployments import version_of
from common.services.projects.variables import mask_of_deployment
from common.states import Environment
from common.transaction import snapshot
from common.values.app import Health, Spec, Version
from common.values.barrier import Barrier
from common.values.build_results import BuildResults, TrialRun
from common.values.variable_set import Variables
from tests.web.world import World, get

SPEC = {
    "start_command": "./run", "env": {"KEY": "canary-7f3a91"}, "health_path": "/up", "health_seconds": 30.0,
    "memory_limit": "1Gi", "docker_image": "shop:1", "replicas": 2, "port": 8080, "secret_names": ["KEY"],
}  # fmt: skip


def write(table: str, row_id: str, column: str, value: str) -> None:
    """As it stands in the column, past everything that knows today's shape."""
    with engine().begin() as connection:
        connection.execute(text(f"UPDATE {table} SET {column} = :value WHERE id = :id"), {"value": value, "id": row_id})


def test_a_deployment_is_told_to_the_runtime_and_masked_as_it_was_made(world: World) -> None:
    made = world.deployment(world.project(), Environment.STAGING)
    write("deployments", made, "spec_sealed", seal(SPEC))
    write("deployments", made, "barrier", json.dumps({"reason": "Migration 12", "blocked": ["1" * 40]}))
    deployment = get(Deployment, made)

    variables = Variables({"KEY": "canary-7f3a91"}, ("KEY",))
    spec = Spec("./run", variables, Health("/up", None, 500, 30.0), "1Gi", "shop:1", 2, 8080)
    assert version_of(deployment) == Version(made, deployment.commit_sha, spec=spec)
    assert deployment.barrier == Barrier("Migration 12", ("1" * 40,))
    with snapshot() as read:
        assert mask_of_deployment(read, deployment)("it said canary-7f3a91") == "it said ***"


def test_a_group_keeps_the_runs_that_it_has_seen(world: World) -> None:
    project = world.project()
    group_id = world.group(project, world.approved(project))["id"]
    assert get(TaskGroup, group_id).build == BuildResults()
    write("task_groups", group_id, "build", json.dumps({"command": "d", "runs": [[1, False], [0, True]]}))

    assert get(TaskGroup, group_id).build == BuildResults("d", (TrialRun(1, False), TrialRun(0, True)))
