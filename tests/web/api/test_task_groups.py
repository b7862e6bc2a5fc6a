"""Task groups at the API: which tasks may be grouped, who may read and act, what lists show, many requests at once."""

from __future__ import annotations

from typing import Any

from common.models import Job, Project, TaskGroup
from common.values.states import Role
from tests.web.world import World, all_of, at_once, events, put


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
    first = world.group(project, task_ids, name="Sprint 1")

    reply = world.client.post("/api/task-groups", json={"projectId": project.id, "taskIds": task_ids})
    assert (reply.status_code, reply.json["details"]["field"]) == (409, "taskIds")
    assert reply.json["details"]["message"] == "task 'Greet' is in group Sprint 1 already"

    assert world.post_group(first["id"], "cancel").json["taskGroup"]["status"] == "cancelled"
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


def test_a_task_names_the_group_that_delivers_it(world: World) -> None:
    project = world.project(has_repository=True)
    one, other = world.approved(project, "One", "Other")

    def named() -> Any:
        return world.client.get(f"/api/tasks/{one}").json["task"]["taskGroup"]

    assert named() is None
    world.post_group(world.group(project, [one])["id"], "cancel")
    assert named() is None
    group = world.group(project, [one, other], name="Sprint 1")
    assert named() == {
        "id": group["id"], "name": "Sprint 1", "stagingBranch": group["stagingBranch"], "status": "pending",
        "deliveredAt": None, "receipt": None,
    }  # fmt: skip
    world.post_group(group["id"], "remove", taskId=one)
    assert named() is None
