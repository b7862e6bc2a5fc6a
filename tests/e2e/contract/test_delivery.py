"""From a proven task through a group to staging, production and back."""

from __future__ import annotations

from typing import Any

import requests

from tests.e2e.contract.caller import NOWHERE, Caller, check_time, faults
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.contract.platform import Platform, eventually
from tests.long_waits import LONG_WAIT_SECONDS

Json = Any
GROUP = {
    "id", "projectId", "taskIds", "targetBranch", "notes", "status", "stagingBranch", "name", "headSha", "baseSha",
    "problems", "checks", "deployments", "createdBy", "createdAt",
}  # fmt: skip
DEPLOYMENT = {"id", "projectId", "environment", "status", "commitSha", "branch", "url", "startedAt", "finishedAt"}
MAYBE = {"createdBy", "createdAt", "taskId", "taskGroupId", "rollbackOf", "error"}


def greeting(text: str) -> dict[str, str]:
    return {"greeting.txt": text + "\n"}


def seen_at(url: str) -> str:
    return requests.get(url, timeout=LONG_WAIT_SECONDS).text.strip()


def test_delivery_goes_to_staging_production_and_back(platform: Platform, admin: Caller, agent: FakeAgent) -> None:
    project = platform.deployable()
    first = platform.approved_task(project, agent, greeting("one"), title="One")
    group = platform.new_group(project, first, notes="Sprint 1 features")
    path = f"/task-groups/{group['id']}"

    early = admin.send("POST", f"{path}/deploy-production", json={})
    assert early.status_code == 409
    accepted = admin.call("POST", f"{path}/deploy-staging", 202, json={}).json()
    assert accepted["taskGroup"]["id"] == group["id"]
    assert set(accepted["job"]) == {"id", "kind", "state"}
    platform.wait_group(group["id"], "staging")
    staged = platform.task(first["id"])
    assert staged["state"] == "staging"
    accepted = admin.call("POST", f"{path}/deploy-production", 202, json={}).json()
    assert set(accepted["job"]) == {"id", "kind", "state"}
    shown = platform.wait_group(group["id"], "production")
    assert platform.task(first["id"])["state"] == "production"
    assert {one["environment"] for one in shown["deployments"]} == {"staging", "production"}

    def live(environment: str) -> Json:
        (row,) = admin.get("/deployments", projectId=project["id"], environment=environment, status="completed")[
            "deployments"
        ]
        return row

    one = live("production")
    assert one.keys() >= DEPLOYMENT
    assert one.keys() & {"taskId", "rollbackOf", "error"} == set(), "what a deployment has not is left out"
    assert (one["taskGroupId"], one["environment"], one["commitSha"]) == (group["id"], "production", shown["headSha"])
    assert seen_at(one["url"]) == "one"
    assert live("staging")["commitSha"] == one["commitSha"]
    check_time(one["startedAt"])
    check_time(one["finishedAt"])
    whole = admin.get(f"/deployments/{one['id']}")["deployment"]
    assert whole.items() >= {key: one[key] for key in DEPLOYMENT - {"url"}}.items()
    assert isinstance(admin.get(f"/deployments/{one['id']}/logs")["lines"], list)
    only = admin.send("POST", f"/deployments/{one['id']}/rollback", json={})
    assert only.status_code == 409, "nothing ran before the first deployment"

    second = platform.approved_task(project, agent, greeting("two"), title="Two")
    group = platform.new_group(project, second, name="Two")
    platform.deploy(group["id"], "staging")
    two = platform.deploy(group["id"], "production")
    assert admin.get(f"/deployments/{one['id']}")["deployment"]["status"] == "superseded"
    admin.post(f"/deployments/{one['id']}/rollback", status=409)
    set_of = faults(admin.post(f"/deployments/{two['id']}/rollback", {"mystery": 1}, 400))
    assert set(set_of) == {"mystery"}
    assert admin.send("POST", f"/deployments/{two['id']}/rollback", json={"toDeploymentId": NOWHERE}).status_code in {
        400,
        404,
        409,
    }

    back = admin.call("POST", f"/deployments/{two['id']}/rollback", 202, json={}).json()

    assert back.keys() >= {"success", "rollbackDeploymentId", "job"}
    assert back["success"] is True
    new = eventually(
        "the rollback to be live",
        lambda: (
            (row := admin.get(f"/deployments/{back['rollbackDeploymentId']}")["deployment"])["status"] == "completed"
            and row
        ),
    )
    assert (new["rollbackOf"], new["commitSha"]) == (two["id"], one["commitSha"])
    assert admin.get(f"/deployments/{two['id']}")["deployment"]["status"] == "rolled_back"
    assert seen_at(new["url"]) == "one"
    assert {
        row["id"] for row in admin.get("/deployments", projectId=project["id"], status="rolled_back")["deployments"]
    } == {two["id"]}
    for wrong in ({"environment": "moon"}, {"status": "x"}):
        assert set(faults(admin.get("/deployments", 400, **wrong))) == set(wrong)

    third = platform.approved_task(project, agent, {"other.txt": "x\n"}, title="Three")
    body = {"projectId": project["id"], "taskIds": [third["id"]], "name": "Three"}
    refused = admin.send("POST", "/task-groups", json=body)
    if refused.status_code == 201:
        ended = platform.wait_group(refused.json()["taskGroup"]["id"], "failed", "conflict", "merged", "cancelled")
        assert ended["status"] in {"failed", "conflict"}, "it contains what was rolled back"
    else:
        assert refused.status_code == 409
    accepted = admin.post("/task-groups", {**body, "acceptRolledBack": True}, 201)["taskGroup"]
    platform.wait_group(accepted["id"], "merged")
