"""Projects, who sees them, and who may do what in them."""

from __future__ import annotations

import json

import pytest

from tests.e2e.contract.caller import NOWHERE, Caller
from tests.e2e.contract.platform import Platform, eventually


def test_deleting_is_accepted_repeatable_and_final(platform: Platform, admin: Caller) -> None:
    project = platform.new_project()
    task = platform.new_task(project)

    first = admin.delete(f"/projects/{project['id']}", 202)
    assert first["project"]["id"] == project["id"]
    assert first["project"]["status"] == "deleting"
    assert set(first["job"]) == {"id", "kind", "state"}
    second = admin.send("DELETE", f"/projects/{project['id']}")
    assert second.status_code == 404 or second.json()["job"]["id"] == first["job"]["id"]
    eventually("the project to be gone", lambda: admin.send("GET", f"/projects/{project['id']}").status_code == 404)
    admin.delete(f"/projects/{project['id']}", 404)
    admin.get(f"/tasks/{task['id']}", 404)
    again = admin.post("/projects", {"name": project["name"]}, 201)["project"]
    assert again["giteaRepoUrl"] == project["giteaRepoUrl"]


ACTS = [
    ("member", "POST", "/tasks", {"projectId": "PROJECT", "title": "x", "requiredCapabilities": ["nobody-has-this"]}),
    ("member", "PATCH", "/tasks/TASK", {"title": "y"}),
    ("member", "POST", "/tasks/TASK/comments", {"body": "x"}),
    ("member", "POST", "/tasks/TASK/respond", {"questionId": f"q-{NOWHERE}", "response": "x"}),
    ("maintainer", "POST", "/tasks/TASK/approve", {}),
    ("maintainer", "POST", "/tasks/TASK/reject", {"reason": "x"}),
    ("maintainer", "POST", "/task-groups", {"projectId": "PROJECT", "taskIds": ["TASK"]}),
    ("maintainer", "POST", "/projects", {"name": ""}),
    ("maintainer", "PATCH", "/projects/PROJECT", {"replicas": "x"}),
    ("maintainer", "POST", "/projects/PROJECT/retry", {}),
    ("maintainer", "PUT", f"/projects/PROJECT/members/{NOWHERE}", {"role": "member"}),
    ("maintainer", "DELETE", f"/projects/PROJECT/members/{NOWHERE}", None),
]


@pytest.mark.parametrize(("least", "method", "path", "body"), ACTS)
def test_each_act_wants_its_role(platform: Platform, least: str, method: str, path: str, body: object) -> None:
    project = platform.project()
    task = platform.new_task(project)

    def put(text: str) -> str:
        return text.replace("PROJECT", project["id"]).replace("TASK", task["id"])

    filled = json.loads(put(json.dumps(body or {})))
    ranks = ["viewer", "member", "maintainer", "admin"]
    for role in ranks:
        status = platform.as_a(role).send(method, put(path), json=filled).status_code
        assert (status == 403) == (ranks.index(role) < ranks.index(least)), (role, status)
