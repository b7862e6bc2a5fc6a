"""Deployments at the API: what is shown of them, what they wrote, and going back."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text

from common.database.engines import engine
from common.models import Deployment, Job, Project
from common.secrets.sealing import seal
from common.services.deployment.deployments import version_of
from common.services.project_settings.variables import mask_of_deployment
from common.transaction import snapshot
from common.values.delivery.app import Health, Spec, Version
from common.values.delivery.rollback_barrier import Barrier
from common.values.states import Environment, Role
from common.values.variable_set import Variables
from tests.web.world import World, all_of, get, put

OLD, NEW = "a" * 40, "b" * 40
MISSING = "00000000-0000-7000-8000-000000000000"


def production(world: World, project: Project, *commits: str) -> list[str]:
    """The ids of deployments of these commits to production, one after the other; the last one serves."""
    made: list[str] = []
    for commit in commits:
        if made:
            put(Deployment, made[-1], state_="superseded", live_key=None)
        made.append(world.deployment(project, Environment.PRODUCTION, commit_sha=commit))
    return made


def roll_back(world: World, deployment_id: str, **body: Any) -> Any:
    return world.app_client().post(f"/api/deployments/{deployment_id}/rollback", json=body)


def test_lists_are_filtered_newest_first_and_count_what_may_be_seen(world: World) -> None:
    project, hidden = world.project(), world.project("Hidden")
    first, second = production(world, project, OLD, NEW)
    staging = world.deployment(project, Environment.STAGING)
    secret = world.deployment(hidden, Environment.STAGING)
    put(Project, hidden.id, is_restricted=True)

    def ids(query: str = "") -> list[str]:
        return [one["id"] for one in world.client.get(f"/api/deployments{query}").json["deployments"]]

    assert ids() == [staging, second, first]
    assert ids("?environment=production&status=superseded") == [first]
    assert ids(f"?projectId={project.id}&limit=1&offset=1") == [second]
    assert ids(f"?projectId={hidden.id}") == []
    assert world.client.get("/api/deployments").json["total"] == 3
    assert world.client.get(f"/api/deployments/{secret}").status_code == 404
    assert roll_back(world, secret).status_code == 404
    for wrong in ("environment=moon", "status=fine", "projectId=1", "colour=red"):
        assert world.client.get(f"/api/deployments?{wrong}").status_code == 400


def test_rolling_back_makes_a_new_deployment_of_what_ran_before(world: World) -> None:
    project = world.project()
    first, live = production(world, project, OLD, NEW)

    reply = roll_back(world, live)

    assert (reply.status_code, reply.json["success"]) == (202, True)
    made = get(Deployment, reply.json["rollbackDeploymentId"])
    assert (made.commit_sha, made.rollback_of, made.state) == (OLD, live, "pending")
    assert made.spec_sealed == get(Deployment, first).spec_sealed
    assert (reply.json["job"]["kind"], reply.json["job"]["state"]) == ("deployment.deploy", "queued")
    assert [job.subject_id for job in all_of(Job, Job.id == reply.json["job"]["id"])] == [made.id]
    # Until the older version is healthy the newer one serves.
    assert world.client.get(f"/api/deployments/{live}").json["deployment"]["status"] == "completed"


def test_what_was_never_healthy_or_is_elsewhere_can_not_be_gone_back_to(world: World) -> None:
    project = world.project()
    _first, live = production(world, project, OLD, NEW)
    failed = world.deployment(project, Environment.PRODUCTION, state="failed", is_live=False)
    staging = world.deployment(project, Environment.STAGING)

    refused = roll_back(world, live, toDeploymentId=failed)
    assert (refused.status_code, "is failed" in refused.json["details"]["message"]) == (409, True)
    assert roll_back(world, live, toDeploymentId=live).status_code == 409
    assert roll_back(world, live, toDeploymentId=staging).status_code == 404
    assert roll_back(world, live, toDeploymentId=MISSING).status_code == 404
    assert roll_back(world, live, toDeploymentId="latest").status_code == 400
    assert all_of(Deployment, Deployment.rollback_of.is_not(None)) == []


def test_only_the_live_version_can_be_rolled_back(world: World) -> None:
    project = world.project()
    first, _live = production(world, project, OLD, NEW)
    reply = roll_back(world, first)
    assert (reply.status_code, reply.json["details"]["field"]) == (409, "state")
    assert "is superseded" in reply.json["details"]["message"]


def test_a_rollback_sent_twice_with_one_key_happens_once(world: World) -> None:
    _first, live = production(world, world.project(), OLD, NEW)
    first, second = (
        world.client.post(f"/api/deployments/{live}/rollback", json={}, headers={"Idempotency-Key": "back"})
        for _ in "ab"
    )
    assert (first.status_code, second.data) == (202, first.data)
    assert len(all_of(Deployment, Deployment.rollback_of == live)) == 1


def visit(world: World, deployment_id: str) -> Any:
    return world.app_client().post(f"/api/deployments/{deployment_id}/visit")


def test_only_who_sees_the_project_visits_what_is_live(world: World) -> None:
    hidden = world.project("Hidden")
    ended = world.deployment(hidden, Environment.PREVIEW, state="superseded", is_live=False)
    assert visit(world, ended).status_code == 409
    put(Project, hidden.id, is_restricted=True)

    assert visit(world, ended).status_code == 404
    assert visit(world, MISSING).status_code == 404
    assert world.app.test_client().post(f"/api/deployments/{ended}/visit").status_code == 401
    assert world.client_of("somebody", Role.VIEWER).post(f"/api/deployments/{ended}/visit").status_code == 404


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
