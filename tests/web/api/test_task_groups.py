"""Task groups at the API: who may be grouped, where a group may go next, and what happens when many ask at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.models import Deployment, GroupMember, Job, Project, Task, TaskGroup
from common.states import Environment, Role
from tests import builders
from tests.providers.git_tree import WorkTree
from tests.web.world import SHA, World, all_of, at_once, events, forget_providers, get, head_of, put, repository_of

VERBS = ("deploy-staging", "deploy-production", "cancel", "remove", "retry")


@pytest.fixture
def world(app: Flask) -> Iterator[World]:
    yield World(app)
    forget_providers()


def post(world: World, group_id: str, verb: str, **body: Any) -> Any:
    return world.client.post(f"/api/task-groups/{group_id}/{verb}", json=body)


def test_a_group_is_made_as_the_founding_document_shows(world: World) -> None:
    project = world.project()
    task_ids = world.approved(project, "One", "Two", "Three")
    body = {"projectId": project.id, "taskIds": task_ids, "targetBranch": "staging", "notes": "Sprint 1 features"}

    reply = world.client.post("/api/task-groups", json=body)

    assert reply.status_code == 201
    group = reply.json["taskGroup"]
    assert (group["taskIds"], group["status"], group["stagingBranch"]) == (task_ids, "pending", "release/sprint-1")
    assert (group["targetBranch"], group["notes"], group["projectId"]) == ("staging", "Sprint 1 features", project.id)
    assert (group["problems"], group["checks"], group["deployments"]) == ([], [], [])
    assert [job.state for job in all_of(Job, Job.kind == "group.merge", Job.subject_id == group["id"])] == ["queued"]
    assert len(events("task-group:status_changed", of=group["id"])) == 1
    assert world.client.get(f"/api/task-groups/{group['id']}").json["taskGroup"] == group


def test_branches_are_named_by_name_then_notes_then_id_and_stay_unique(world: World) -> None:
    project = world.project()
    one, two, three, four = world.approved(project, "One", "Two", "Three", "Four")

    assert world.group(project, [one], name="Big Bang", notes="Sprint 1")["stagingBranch"] == "release/big-bang"
    assert world.group(project, [two], notes="Big bang")["stagingBranch"] == "release/big-bang-2"
    assert world.group(project, [three], notes="Big bang of all")["stagingBranch"] == "release/big-bang-3"
    unnamed = world.group(project, [four])
    assert unnamed["stagingBranch"] == f"release/{unnamed['id'][-8:]}"


def test_a_name_is_free_in_another_project(world: World) -> None:
    for name in ("Demo", "Other"):
        project = world.project(name)
        group = world.group(project, world.approved(project), name="Sprint 1")
        assert group["stagingBranch"] == "release/sprint-1"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("targetBranch", "main", "Must be one of: staging, production"),
        ("targetBranch", "release/x", "Must be one of: staging, production"),
        ("targetBranch", "staging\n", "Must be one of: staging, production"),
        ("targetBranch", "--upload-pack=x", "Must be one of: staging, production"),
        ("taskIds", [], "Must have 1 to 100 tasks"),
        ("taskIds", "all", "Must be a list of task ids"),
        ("projectId", "00000000-0000-7000-8000-000000000000", "No such project"),
        ("projectId", "1", "Not an id"),
        ("status", "merged", "Read-only field"),
        ("stagingBranch", "main", "Read-only field"),
        ("branch", "main", "Unknown field"),
    ],
)
def test_a_group_that_can_not_be_is_refused_by_its_field(world: World, field: str, value: Any, message: str) -> None:
    project = world.project()
    body = {"projectId": project.id, "taskIds": world.approved(project), field: value}
    reply = world.client.post("/api/task-groups", json=body)
    assert (reply.status_code, reply.json["details"]) == (400, {"field": field, "message": message})


def test_a_task_that_is_not_approved_is_a_409_that_names_its_state(world: World) -> None:
    project = world.project()
    task = world.task(project, state="ready_to_test")
    reply = world.client.post("/api/task-groups", json={"projectId": project.id, "taskIds": [task.id]})
    assert (reply.status_code, reply.json["details"]["field"]) == (409, "taskIds")
    assert "is ready_to_test" in reply.json["details"]["message"]


def test_a_task_of_another_project_is_a_400(world: World) -> None:
    project, other = world.project(), world.project("Other")
    reply = world.client.post("/api/task-groups", json={"projectId": project.id, "taskIds": world.approved(other)})
    assert (reply.status_code, reply.json["details"]["field"]) == (400, "taskIds")


def test_a_task_is_in_one_live_group_at_most(world: World) -> None:
    project = world.project()
    task_ids = world.approved(project)
    first = world.group(project, task_ids)

    reply = world.client.post("/api/task-groups", json={"projectId": project.id, "taskIds": task_ids})
    assert (reply.status_code, reply.json["details"]["field"]) == (409, "taskIds")
    assert first["id"] in reply.json["details"]["message"]

    assert post(world, first["id"], "cancel").json["taskGroup"]["status"] == "cancelled"
    assert world.group(project, task_ids)["status"] == "pending"


def test_of_groups_that_want_the_same_task_at_once_one_is_made(world: World) -> None:
    project = world.project()
    body = {"projectId": project.id, "taskIds": world.approved(project), "name": "Rush"}

    replies = at_once(*[lambda: world.app_client().post("/api/task-groups", json=body)] * 8)

    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 7
    assert len(all_of(TaskGroup)) == 1


def test_lists_are_filtered_and_count_what_may_be_seen(world: World) -> None:
    project, hidden = world.project(), world.project("Hidden", is_restricted=True)
    kept = world.group(project, world.approved(project), name="Kept")
    put(Project, hidden.id, is_restricted=False)
    secret = world.staged(hidden, base_sha="b" * 40)
    put(Project, hidden.id, is_restricted=True)
    member = world.client_of("mia", Role.MEMBER)

    listed = member.get("/api/task-groups").json
    assert ([group["id"] for group in listed["taskGroups"]], listed["total"]) == ([kept["id"]], 1)
    assert listed["taskGroups"][0]["taskIds"] == kept["taskIds"]
    assert member.get(f"/api/task-groups/{secret}").status_code == 404
    admin = world.client_of("ada", Role.ADMIN)
    assert admin.get("/api/task-groups?status=staging").json["taskGroups"][0]["id"] == secret
    assert admin.get(f"/api/task-groups?projectId={project.id}").json["total"] == 1
    assert admin.get("/api/task-groups?status=done").status_code == 400


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("deploy-staging", "staging"),
        ("deploy-staging", "failed"),
        ("deploy-staging", "deploying_production"),
        ("cancel", "production"),
        ("cancel", "deploying_production"),
        ("cancel", "cancelled"),
        ("remove", "production"),
        ("remove", "deploying_staging"),
        ("retry", "pending"),
        ("retry", "production"),
    ],
)
def test_what_a_group_can_not_do_now_is_a_409_that_names_its_state(world: World, verb: str, state: str) -> None:
    project = world.project()
    group = world.group(project, world.approved(project))
    put(TaskGroup, group["id"], state_=state)

    body = {"taskId": group["taskIds"][0]} if verb == "remove" else {}
    reply = post(world, group["id"], verb, **body)

    assert (reply.status_code, reply.json["error"]) == (409, "Conflict")
    assert f"is {state}" in reply.json["details"]["message"]
    assert get(TaskGroup, group["id"]).state_ == state


@pytest.mark.parametrize("state", ["pending", "merging", "merged"])
def test_staging_is_accepted_until_it_is_there(world: World, state: str) -> None:
    project = world.project()
    group = world.group(project, world.approved(project))
    put(TaskGroup, group["id"], state_=state, tested_sha=SHA if state == "merged" else None)

    reply = post(world, group["id"], "deploy-staging")

    assert reply.status_code == 202
    wanted = {"merged": ("deploying_staging", "deployment.deploy")}.get(state, (state, "group.merge"))
    assert (reply.json["taskGroup"]["status"], reply.json["job"]["kind"]) == wanted
    assert reply.json["job"]["state"] == "queued"
    assert world.client.get(f"/api/jobs/{reply.json['job']['id']}").json["job"]["kind"] == wanted[1]


def test_taking_a_task_out_leaves_the_rest_and_the_last_one_ends_the_group(world: World) -> None:
    project = world.project()
    one, two = world.approved(project, "One", "Two")
    group_id = world.group(project, [one, two])["id"]

    assert post(world, group_id, "remove", taskId=one).json["taskGroup"]["taskIds"] == [two]
    assert post(world, group_id, "remove", taskId=one).status_code == 404
    assert post(world, group_id, "remove", taskId=two).json["taskGroup"]["status"] == "cancelled"
    assert get(Task, one).state == "approved"


def test_retrying_a_failed_group_merges_it_anew(world: World) -> None:
    project = world.project()
    group_id = world.group(project, world.approved(project))["id"]
    put(TaskGroup, group_id, state_="failed", error="the runtime refused")
    failed = world.client.get(f"/api/task-groups/{group_id}").json["taskGroup"]
    assert (failed["checks"][0]["status"], failed["error"]) == ("failed", "the runtime refused")

    again = post(world, group_id, "retry").json["taskGroup"]
    assert (again["status"], again["error"], again["checks"][0]["status"]) == ("merging", None, "running")


def test_production_takes_the_commit_that_runs_on_staging(world: World) -> None:
    project = world.project(has_repository=True)
    group_id = world.staged(project, base_sha=head_of(project))

    reply = post(world, group_id, "deploy-production")

    assert reply.status_code == 202
    assert (reply.json["taskGroup"]["status"], reply.json["job"]["kind"]) == (
        "deploying_production",
        "deployment.deploy",
    )
    (made,) = all_of(Deployment, Deployment.environment_ == Environment.PRODUCTION)
    assert (made.commit_sha, made.state) == (SHA, "pending")
    assert made.id in [one["id"] for one in reply.json["taskGroup"]["deployments"]]


def test_only_a_group_on_staging_can_go_to_production(world: World) -> None:
    project = world.project(has_repository=True)
    group_id = world.group(project, world.approved(project))["id"]
    reply = post(world, group_id, "deploy-production")
    assert reply.status_code == 409
    assert "is pending" in reply.json["details"]["message"]


@pytest.mark.parametrize("key", [None, "once"])
def test_a_default_branch_that_moved_is_a_409_and_the_group_is_built_anew(
    world: World, tmp_path: Path, key: str | None
) -> None:
    project = world.project(has_repository=True)
    group_id = world.staged(project, base_sha=head_of(project))
    path = tmp_path / "data" / "repositories"
    (bare,) = [place for place in path.rglob("HEAD") if place.parent.name == f"{project.slug}.git"]
    tree = WorkTree(tmp_path / "clone", str(bare.parent))
    moved_to = tree.commit({"hotfix.txt": "now\n"}, on="main")
    tree.push("main")
    assert head_of(project) == moved_to

    headers = {"Idempotency-Key": key} if key else {}
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


def test_a_repository_that_is_gone_is_not_a_deployment(world: World) -> None:
    project = world.project()
    group_id = world.staged(project, base_sha="b" * 40)
    reply = post(world, group_id, "deploy-production")
    assert (reply.status_code, reply.json["details"]["field"]) == (409, "no_repository")
    assert get(TaskGroup, group_id).state == "staging"
    assert repository_of(project).name == "demo"


def test_of_two_deployments_to_production_at_once_one_is_accepted(world: World) -> None:
    project = world.project(has_repository=True)
    group_id = world.staged(project, base_sha=head_of(project))
    path = f"/api/task-groups/{group_id}/deploy-production"

    replies = at_once(*[lambda: world.app_client().post(path, json={})] * 2)

    assert sorted(reply.status_code for reply in replies) == [202, 409]
    assert len(all_of(Deployment, Deployment.environment_ == Environment.PRODUCTION)) == 1


def test_of_many_verdicts_at_once_one_counts(world: World) -> None:
    project = world.project()
    task = world.task(project, state="ready_to_test")

    def approve() -> Any:
        return world.app_client().post(f"/api/tasks/{task.id}/approve", json={})

    def reject() -> Any:
        return world.app_client().post(f"/api/tasks/{task.id}/reject", json={"reason": "Needs tests"})

    replies = at_once(*[approve, reject] * 20)

    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 39
    changed = [row for row in events("task:status_changed", of=task.id) if '"ready_to_test"' in row.data]
    assert len(changed) == 1
    winner = next(reply for reply in replies if reply.status_code == 200)
    assert winner.json["task"]["state"] == get(Task, task.id).state


@pytest.mark.parametrize(
    ("role", "reads", "acts"),
    [(None, 401, 401), (Role.VIEWER, 200, 403), (Role.MEMBER, 200, 403), (Role.MAINTAINER, 200, 0)],
)
def test_everybody_reads_and_maintainers_act(world: World, role: Role | None, reads: int, acts: int) -> None:
    project = world.project(has_repository=True)
    task_ids = world.approved(project)
    group = world.group(project, task_ids)
    client = world.app.test_client() if role is None else world.client_of("somebody", role)

    assert client.get("/api/task-groups").status_code == reads
    assert client.get(f"/api/task-groups/{group['id']}").status_code == reads
    replies = [client.post("/api/task-groups", json={"projectId": project.id, "taskIds": task_ids})]
    for verb in VERBS:
        body = {"taskId": task_ids[0]} if verb == "remove" else {}
        replies.append(client.post(f"/api/task-groups/{group['id']}/{verb}", json=body))
    statuses = {reply.status_code for reply in replies}
    assert statuses == {acts} if acts else statuses.isdisjoint({401, 403, 404, 500})


def test_an_agent_has_no_business_with_groups(world: World) -> None:
    agent, _agent_id = world.agent()
    assert agent.get("/api/task-groups").status_code == 403


def test_a_missing_group_is_a_404_for_every_verb(world: World) -> None:
    missing = "00000000-0000-7000-8000-000000000000"
    for verb in VERBS:
        body = {"taskId": missing} if verb == "remove" else {}
        assert post(world, missing, verb, **body).status_code == 404
    assert world.client.get("/api/task-groups/nonsense").status_code == 404
    assert builders.client_of(world.app, world.users["maxim"]).get(f"/api/task-groups/{missing}").status_code == 404


@pytest.mark.parametrize(
    ("state", "becomes"), [("pending", "pending"), ("merging", "merging"), ("merged", "merging"), ("failed", "merging")]
)
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


def test_cancelling_the_last_task_of_a_group_ends_it(world: World) -> None:
    project = world.project()
    (one,) = world.approved(project)
    group_id = world.group(project, [one])["id"]

    assert world.client.patch(f"/api/tasks/{one}", json={"state": "cancelled"}).json["task"]["state"] == "cancelled"

    group = get(TaskGroup, group_id)
    assert (group.state, all_of(GroupMember, GroupMember.live_task_id.is_not(None))) == ("cancelled", [])


@pytest.mark.parametrize("state", ["deploying_staging", "staging", "deploying_production"])
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


def test_only_who_may_change_a_group_cancels_a_task_in_it(world: World) -> None:
    project = world.project()
    held, free = world.approved(project, "Held", "Free")
    world.group(project, [held])
    member = world.client_of("mia", Role.MEMBER)

    assert member.post(f"/api/tasks/{free}/cancel").status_code == 200
    assert member.post(f"/api/tasks/{held}/cancel").status_code == 403
    assert get(Task, held).state == "approved"


def test_of_a_cancelled_task_and_a_removed_one_at_once_both_leave(world: World) -> None:
    project = world.project()
    one, two, three = world.approved(project, "One", "Two", "Three")
    group_id = world.group(project, [one, two, three])["id"]

    replies = at_once(
        lambda: world.app_client().post(f"/api/tasks/{two}/cancel"),
        lambda: world.app_client().post(f"/api/task-groups/{group_id}/remove", json={"taskId": one}),
        lambda: world.app_client().post(f"/api/tasks/{three}/cancel"),
    )

    assert [reply.status_code for reply in replies] == [200] * 3
    assert get(TaskGroup, group_id).state == "cancelled"
    assert [get(Task, task_id).state for task_id in (one, two, three)] == ["approved", "cancelled", "cancelled"]


def test_a_push_that_a_group_left_out_stands_on_the_task(world: World) -> None:
    project = world.project()
    (one,) = world.approved(project)
    assert world.client.get(f"/api/tasks/{one}").json["task"]["laterPush"] is None
    put(Task, one, later_push="b" * 40)
    assert world.client.get(f"/api/tasks/{one}").json["task"]["laterPush"] == "b" * 40
    reply = world.client.patch(f"/api/tasks/{one}", json={"laterPush": None})
    assert reply.json["details"] == {"field": "laterPush", "message": "Read-only field"}
