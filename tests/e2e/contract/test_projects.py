"""Projects, who sees them, and who may do what in them."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.contract.caller import NOWHERE, UUID7, Caller, check_time, faults
from tests.e2e.contract.platform import Platform, eventually

FOUNDING = {"id", "name", "description", "giteaRepoUrl", "k8sNamespace", "status", "createdAt"}
SETTINGS = {
    "dockerImage", "replicas", "cpuLimit", "memoryLimit", "defaultBranch", "startCommand", "testCommand", "healthPath",
    "healthSeconds", "port", "secretEnvVars", "previewTtlHours", "maxParallelTasks", "restricted", "separateApprover",
    "forbiddenPaths", "limits", "agentInstructions", "secretsInChecks", "secretsInPreviews", "healthContains",
    "setupCommand", "cachePaths", "services", "egress", "egressHosts",
    "keepTests", "testsLost", "testsFirst", "testReport", "testSetup", "mostQuarantined", "autoQuarantine",
    "groupTestRuns", "coverage", "requiredStatuses", "agentReview", "review",
    "secretScan", "dependencyScan",
}  # fmt: skip


def test_a_new_project_knows_its_addresses_at_once(platform: Platform, admin: Caller) -> None:
    name = platform.name("My New Project")
    body = {
        "name": name, "description": "Project description", "dockerImage": "node:20-alpine",
        "envVars": {"NODE_ENV": "production"}, "replicas": 2, "cpuLimit": "1000m", "memoryLimit": "1Gi",
    }  # fmt: skip

    project = admin.post("/projects", body, 201)["project"]

    slug = name.lower().replace(" ", "-")
    short = project["id"].replace("-", "")[-8:]
    assert project.keys() >= FOUNDING | SETTINGS | {"envVars"}
    assert {key: project[key] for key in body} == body
    assert re.fullmatch(rf"https?://[^/]+/(.+/)?[^/]+/{slug}", project["giteaRepoUrl"])
    namespace, _, end = project["k8sNamespace"].rpartition("-")
    assert namespace == slug
    assert len(end) >= 6
    assert short.endswith(end)
    assert project["status"] == "provisioning"
    assert UUID7.fullmatch(project["id"])
    check_time(project["createdAt"])
    active = platform.wait_project(project["id"], "active")
    for key in ("giteaRepoUrl", "k8sNamespace", "createdAt"):
        assert active[key] == project[key]
    listed = next(one for one in admin.get("/projects")["projects"] if one["id"] == project["id"])
    assert listed.keys() >= FOUNDING


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "a\u202eb"), ("envVars", {"A": 1}), ("envVars", {"": "x"}), ("replicas", -1),
        ("cpuLimit", "lots"), ("memoryLimit", "1 GB"), ("importUrl", "ssh://host/x"),
        ("importUrl", "http://10.0.0.1/x.git"), ("importUrl", "http://169.254.169.254/x"),
        ("importUrl", "https://user:pass@example.com/x.git"), ("importUrl", "file:///etc"),
        ("defaultBranch", "a..b"), ("healthPath", "no-slash"), ("port", 70000), ("maxParallelTasks", -1),
        ("forbiddenPaths", "x"), ("testsLost", "off"), ("testsFirst", "no"), ("testReport", "../report.xml"),
        ("testSetup", ["x[a"]), ("mostQuarantined", -1), ("autoQuarantine", {"commits": 2}),
        ("groupTestRuns", 11), ("coverage", "on"),
        ("requiredStatuses", ["aiworker/proof"]), ("agentReview", {"mode": "off"}),
        ("secretScan", "no"), ("dependencyScan", None),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(platform: Platform, admin: Caller, field: str, value: object) -> None:
    said = faults(admin.post("/projects", {"name": platform.name(), field: value}, 400))

    assert {name.split(".")[0] for name in said} == {field}


def test_a_patch_changes_what_it_names(platform: Platform, admin: Caller) -> None:
    project = platform.new_project()
    other = platform.project()
    changes = {
        "description": "new", "envVars": {"A": "b"}, "replicas": 3, "startCommand": "run", "restricted": True,
        "limits": {"maxCostUsd": 1.5, "maxTokens": 1000, "maxMinutes": 5}, "forbiddenPaths": [".github/"],
    }  # fmt: skip

    changed = admin.patch(f"/projects/{project['id']}", changes)["project"]

    assert {key: changed[key] for key in changes} == changes
    assert changed["giteaRepoUrl"] == project["giteaRepoUrl"]
    admin.patch(f"/projects/{project['id']}", {"name": other["name"]}, 409)
    renamed = admin.patch(f"/projects/{project['id']}", {"name": platform.name("Renamed")})["project"]
    assert renamed["k8sNamespace"] == project["k8sNamespace"]
    assert admin.patch(f"/projects/{project['id']}", {})["project"]["name"] == renamed["name"]


def test_secrets_are_shown_as_names(platform: Platform, admin: Caller) -> None:
    secret = {"DB_PASSWORD": "s3cret-value-xyz"}
    reply = admin.call("POST", "/projects", 201, json={"name": platform.name(), "secretEnvVars": secret})

    assert reply.json()["project"]["secretEnvVars"] == ["DB_PASSWORD"]
    assert "s3cret" not in reply.text
    project_id = reply.json()["project"]["id"]
    assert "s3cret" not in admin.call("GET", f"/projects/{project_id}", 200).text
    assert "s3cret" not in admin.call("GET", f"/events?projectId={project_id}", 200).text


def test_only_who_manages_a_project_sees_its_variables(platform: Platform, admin: Caller) -> None:
    project = platform.new_project(envVars={"A": "hidden-from-members"})

    for role in ("viewer", "member"):
        caller = platform.as_a(role)
        assert "hidden-from-members" not in caller.call("GET", f"/projects/{project['id']}", 200).text
        assert "hidden-from-members" not in caller.call("GET", "/projects", 200).text
    assert platform.as_a("maintainer").get(f"/projects/{project['id']}")["project"]["envVars"] == project["envVars"]


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


def test_a_restricted_project_exists_for_its_members_only(platform: Platform, admin: Caller) -> None:
    project = platform.new_project(restricted=True)
    task = platform.new_task(project)
    outsider, insider = platform.as_a("maintainer"), platform.new_user("member")
    paths = [
        f"/projects/{project['id']}", f"/projects/{project['id']}/members", f"/tasks/{task['id']}",
        f"/tasks/{task['id']}/events", f"/tasks/{task['id']}/diff",
    ]  # fmt: skip
    before = outsider.get("/projects")["total"]
    assert admin.get("/projects")["total"] > before
    for path in paths:
        foreign = outsider.call("GET", path, 404)
        missing = outsider.call("GET", path.replace(project["id"], NOWHERE).replace(task["id"], NOWHERE), 404)
        assert foreign.content == missing.content
        insider.call("GET", path, 404)
    outsider.post(f"/tasks/{task['id']}/approve", status=404)
    outsider.patch(f"/projects/{project['id']}", {"description": "mine"}, 404)
    outsider.delete(f"/projects/{project['id']}", 404)
    for method, path, body in [
        ("GET", "/tasks?projectId=ID", None), ("GET", "/events?projectId=ID", None),
        ("GET", "/deployments?projectId=ID", None), ("POST", "/tasks", {"title": "x"}),
        ("POST", "/task-groups", {"taskIds": [task["id"]]}),
    ]:  # fmt: skip
        foreign, missing = (
            outsider.send(method, path.replace("ID", one), json=body and {**body, "projectId": one})
            for one in (project["id"], NOWHERE)
        )
        assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content), path

    admin.put(f"/projects/{project['id']}/members/{insider.user['id']}", {"role": "maintainer"})

    (member,) = admin.get(f"/projects/{project['id']}/members")["members"]
    assert member == {"userId": insider.user["id"], "username": insider.user["username"], "role": "maintainer"}
    for path in paths[:3]:
        insider.get(path)
    assert project["id"] in {one["id"] for one in insider.get("/projects")["projects"]}
    assert admin.send("DELETE", f"/projects/{project['id']}/members/{insider.user['id']}").status_code in {200, 204}
    insider.get(paths[0], 404)
