"""Going on without a review by another agent, over HTTP: who may, and what the reason may be."""

from __future__ import annotations

from common.models import Task
from common.values.states import Role
from tests import builders
from tests.web.api.refused_tasks import refused_task
from tests.web.world import World, get, put

WHY = "It greets as agreed"


def refused(world: World) -> Task:
    """A task whose newest run was refused by a review."""
    about = {"name": "agent_review", "code": "review_requests_changes", "log": "Wrong.", "facts": {}}
    return refused_task(world, message="Reviewed by codex: requests changes: Wrong.", **about)


def test_a_maintainer_goes_on_without_the_review(world: World) -> None:
    task = refused(world)
    path = f"/api/tasks/{task.id}/overrule-review"

    done = world.client.post(path, json={"reason": f" {WHY} "})

    assert done.status_code == 200, done.data
    assert (done.json["task"]["phase"], done.json["task"]["round"]) == ("verifying", 1)
    read = world.client.get(f"/api/tasks/{task.id}").json["task"]
    (check,) = read["checks"]
    assert (check["status"], check["code"]) == ("passed", "review_overruled")
    assert check["message"] == f"{world.max.username} went on without this review: {WHY}"
    timeline = world.client.get(f"/api/tasks/{task.id}/events").json["events"]
    assert [(one["actor"], one["data"]["reason"]) for one in timeline if one["event"] == "task:review_overruled"] == [
        (world.max.username, WHY)
    ]
    again = world.client.post(path, json={"reason": WHY})
    assert (again.status_code, "before" in again.get_data(as_text=True)) == (409, True)


def test_who_may_not_approve_may_not(plain_world: World) -> None:
    task = refused(plain_world)
    member = builders.a_user("mia", Role.MEMBER)
    path = f"/api/tasks/{task.id}/overrule-review"
    said = builders.client_of(plain_world.app, member).post(path, json={"reason": WHY})
    assert said.status_code == 403
    put(Task, task.id, needs_other_approver=True, created_by_id=plain_world.max.user_id)
    assert plain_world.client.post(path, json={"reason": WHY}).status_code == 403
    assert get(Task, task.id).round == 2
