"""Where a task group goes next: to staging, to production, back by a retry, and on without a task that leaves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import Deployment, Task, TaskGroup
from common.values.states import Environment
from tests.providers.git_work_tree import WorkTree
from tests.web.world import SHA, World, all_of, at_once, events, get, head_of, put


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("deploy-staging", "staging"),
        ("deploy-staging", "failed"),
        ("cancel", "deploying_production"),
        ("remove", "deploying_staging"),
        ("retry", "production"),
    ],
)
def test_what_a_group_can_not_do_now_is_a_409_that_names_its_state(world: World, verb: str, state: str) -> None:
    project = world.project()
    group = world.group(project, world.approved(project))
    put(TaskGroup, group["id"], state_=state)

    body = {"taskId": group["taskIds"][0]} if verb == "remove" else {}
    reply = world.post_group(group["id"], verb, **body)

    assert (reply.status_code, reply.json["error"]) == (409, "Conflict")
    assert f"is {state}" in reply.json["details"]["message"]
    assert get(TaskGroup, group["id"]).state_ == state


@pytest.mark.parametrize("state", ["pending", "merged"])
def test_staging_is_accepted_until_it_is_there(world: World, state: str) -> None:
    project = world.project()
    group = world.group(project, world.approved(project))
    put(TaskGroup, group["id"], state_=state, tested_sha=SHA if state == "merged" else None)

    reply = world.post_group(group["id"], "deploy-staging")

    assert reply.status_code == 202
    wanted = {"merged": ("deploying_staging", "deployment.deploy")}.get(state, (state, "group.merge"))
    assert (reply.json["taskGroup"]["status"], reply.json["job"]["kind"]) == wanted
    assert reply.json["job"]["state"] == "queued"
    assert world.client.get(f"/api/jobs/{reply.json['job']['id']}").json["job"]["kind"] == wanted[1]


def test_production_takes_the_commit_that_runs_on_staging(world: World) -> None:
    project = world.project(has_repository=True)
    group_id = world.staged(project, base_sha=head_of(project))

    reply = world.post_group(group_id, "deploy-production")

    assert reply.status_code == 202
    assert (reply.json["taskGroup"]["status"], reply.json["job"]["kind"]) == (
        "deploying_production",
        "deployment.deploy",
    )
    (made,) = all_of(Deployment, Deployment.environment_ == Environment.PRODUCTION)
    assert (made.commit_sha, made.state) == (SHA, "pending")
    assert made.id in [one["id"] for one in reply.json["taskGroup"]["deployments"]]


def test_a_default_branch_that_moved_is_a_409_and_the_group_is_built_anew(world: World, tmp_path: Path) -> None:
    project = world.project(has_repository=True)
    group_id = world.staged(project, base_sha=head_of(project))
    path = tmp_path / "data" / "repositories"
    (bare,) = [place for place in path.rglob("HEAD") if place.parent.name == f"{project.slug}.git"]
    tree = WorkTree(tmp_path / "clone", str(bare.parent))
    moved_to = tree.commit({"hotfix.txt": "now\n"}, on="main")
    tree.push("main")
    assert head_of(project) == moved_to

    headers = {"Idempotency-Key": "once"}
    reply = world.client.post(f"/api/task-groups/{group_id}/deploy-production", json={}, headers=headers)

    assert reply.status_code == 409
    assert moved_to in reply.json["details"]["message"]
    group = get(TaskGroup, group_id)
    assert (group.state, group.wants_staging, group.tested_sha) == ("merging", True, None)
    assert all_of(Deployment, Deployment.environment_ == Environment.PRODUCTION) == []
    (moved,) = [row for row in events("task-group:status_changed", of=group_id) if '"merging"' in row.data]
    assert moved.actor == "maxim"


def test_a_key_sent_twice_deploys_once_and_answers_the_same(world: World) -> None:
    project = world.project(has_repository=True)
    group_id = world.staged(project, base_sha=head_of(project))
    headers = {"Idempotency-Key": "deploy 1"}
    first, second = (
        world.client.post(f"/api/task-groups/{group_id}/deploy-production", json={}, headers=headers) for _ in "ab"
    )
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.data == first.data
    assert second.headers["Idempotency-Replayed"] == "true"


def test_of_two_deployments_to_production_at_once_one_is_accepted(world: World) -> None:
    project = world.project(has_repository=True)
    group_id = world.staged(project, base_sha=head_of(project))
    path = f"/api/task-groups/{group_id}/deploy-production"

    replies = at_once(*[lambda: world.app_client().post(path, json={})] * 2)

    assert sorted(reply.status_code for reply in replies) == [202, 409]
    assert len(all_of(Deployment, Deployment.environment_ == Environment.PRODUCTION)) == 1


@pytest.mark.parametrize(("state", "becomes"), [("pending", "pending"), ("merged", "merging")])
def test_cancelling_an_approved_task_takes_it_out_of_its_group(world: World, state: str, becomes: str) -> None:
    project = world.project()
    one, two = world.approved(project, "One", "Two")
    group_id = world.group(project, [one, two])["id"]
    put(TaskGroup, group_id, state_=state, head_sha=SHA, base_sha=SHA, tested_sha=SHA if state == "merged" else None)

    reply = world.client.post(f"/api/tasks/{one}/cancel")

    assert (reply.status_code, reply.json["task"]["state"]) == (200, "cancelled")
    group = world.client.get(f"/api/task-groups/{group_id}").json["taskGroup"]
    assert (group["taskIds"], group["status"], group["headSha"]) == ([two], becomes, None)
    assert get(Task, two).state == "approved"


@pytest.mark.parametrize("state", ["staging", "deploying_production"])
def test_a_task_that_is_on_its_way_out_is_not_cancelled(world: World, state: str) -> None:
    project = world.project()
    (one,) = world.approved(project)
    group_id = world.group(project, [one])["id"]
    put(TaskGroup, group_id, state_=state)
    put(Task, one, state_="approved" if state == "deploying_staging" else "staging")

    reply = world.client.post(f"/api/tasks/{one}/cancel")

    assert (reply.status_code, group_id in reply.json["details"]["message"]) == (409, True)
    assert f"which is {state}" in reply.json["details"]["message"]
    assert get(TaskGroup, group_id).state == state
