"""Projects over HTTP: what may be said of one, who may do what, and what nobody else gets to know."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from common import database
from common.names import new_id
from common.settings import settings
from common.states import ProjectState, Role
from tests import builders
from tests.web.made import MISSING_ID, a_project, set_state

WHOLE: dict[str, Any] = {
    "name": "My New Project",
    "description": "Two\nlines",
    "dockerImage": "registry.example.org:5000/team/node:20-alpine",
    "envVars": {"NODE_ENV": "production"},
    "secretEnvVars": {"API_KEY": "canary-5f2"},
    "secretsInChecks": ["API_KEY"],
    "secretsInPreviews": ["API_KEY"],
    "replicas": 2,
    "cpuLimit": "1000m",
    "memoryLimit": "1Gi",
    "importUrl": "https://example.org/team/shop.git",
    "defaultBranch": "trunk/next",
    "startCommand": "node server.js",
    "testCommand": "npm test",
    "healthPath": "/healthz?full=1",
    "healthContains": "all is well",
    "healthSeconds": {"preview": 1, "staging": 2.5, "production": 3600},
    "port": 8080,
    "previewTtlHours": 1,
    "maxParallelTasks": 3,
    "restricted": True,
    "separateApprover": True,
    "forbiddenPaths": ["infra/**", "*.lock"],
    "limits": {"maxCostUsd": 2.5, "maxTokens": 100000, "maxMinutes": 30},
    "agentInstructions": "Write tests first.",
    "setupCommand": "npm ci",
    "cachePaths": ["node_modules", "web/node_modules"],
    "services": [{"kind": "postgresql", "version": "16"}, {"kind": "redis", "version": None}],
}

# Each is one field of a good body made wrong.
WRONG: list[tuple[str, Any]] = [
    *[(name, value) for name, good in WHOLE.items() for value in ({}, 1.5) if not isinstance(good, dict)],
    *[(name, "text") for name, good in WHOLE.items() if isinstance(good, int | float | dict | list)],
    *[(name, None) for name in ("name", "description", "envVars", "replicas", "healthPath", "limits", "restricted")],
    ("name", ""), ("name", "   "), ("name", "x" * 101), ("name", "a\nb"), ("name", "ab\u202ecd"),
    ("name", "a\u200bb"),
    ("description", "x" * 10_001), ("description", "nul\0"),
    ("dockerImage", "node latest"), ("dockerImage", "-v/etc:/x"), ("dockerImage", "node:20;id"), ("dockerImage", ""),
    ("dockerImage", "x" * 256), ("dockerImage", "node@sha256:12"),
    ("envVars", {"A": 1}), ("envVars", {"A=B": "x"}), ("envVars", {"LD_PRELOAD": "x"}), ("envVars", {"PATH": "x"}),
    ("envVars", {"KUBERNETES_SERVICE_HOST": "x"}), ("envVars", {"A": "x\0"}), ("envVars", {"A": "x" * 40_000}),
    ("envVars", {f"A{number}": "x" for number in range(201)}), ("secretEnvVars", {"aiworker_token": "x"}),
    ("setupCommand", ""), ("setupCommand", "nul\0"),
    *[("cachePaths", [path]) for path in ("", "/etc", "../up", "a/../b", ".", "a//b", "a/", ".git", "web/.GIT/hooks",
                                          "a\\b", "x" * 201, 1)],
    ("cachePaths", ["a", "a"]), ("cachePaths", ["a", "a/b"]), ("cachePaths", [f"a{number}" for number in range(21)]),
    ("services", [{"kind": "oracle"}]), ("services", [{}]), ("services", ["redis"]),
    ("services", [{"kind": "redis", "version": "latest"}]), ("services", [{"kind": "redis", "version": 7}]),
    ("services", [{"kind": "redis"}, {"kind": "redis", "version": "7"}]), ("services", [{"kind": "redis", "size": 1}]),
    ("secretsInChecks", ["ABSENT"]), ("secretsInPreviews", ["ABSENT"]), ("secretsInChecks", [1]),
    ("secretsInPreviews", [None]), ("secretsInPreviews", ["x" * 129]),
    ("replicas", 0), ("replicas", 101), ("replicas", True), ("replicas", "2"),
    ("cpuLimit", "1 core"), ("cpuLimit", "-1"), ("cpuLimit", "1000"), ("memoryLimit", "1Zi"), ("memoryLimit", "1"),
    ("memoryLimit", "1Gi\n"),
    ("importUrl", "file:///etc/passwd"), ("importUrl", "http://127.0.0.1/x"), ("importUrl", "http://169.254.169.254/"),
    ("importUrl", "https://user:secret@example.org/x"), ("importUrl", "ext::sh -c id"), ("importUrl", "ssh://h/x"),
    ("importUrl", "http://0x7f.1/"), ("importUrl", "http://[::1]/x"), ("importUrl", "git@example.org:x/y"),
    ("defaultBranch", "--upload-pack=id"), ("defaultBranch", "a..b"), ("defaultBranch", "HEAD"),
    ("defaultBranch", "refs/heads/x"), ("defaultBranch", "x.lock"), ("defaultBranch", "a//b"), ("defaultBranch", "a b"),
    ("defaultBranch", "staging"), ("defaultBranch", "release/1"), ("defaultBranch", "release"), ("defaultBranch", "a/"),
    ("startCommand", ""), ("startCommand", "x" * 8_001), ("testCommand", "a\0b"), ("testCommand", []),
    ("healthPath", "health"), ("healthPath", "/a b"), ("healthPath", "/a\r\nX: y"), ("healthPath", "/" + "a" * 500),
    ("healthPath", "/\\evil"), ("healthPath", "http://evil/"),
    ("healthContains", ""), ("healthContains", "x" * 201), ("healthContains", "a\nb"), ("healthContains", []),
    ("healthSeconds", {"preview": -1}), ("healthSeconds", {"staging": 3601}), ("healthSeconds", {"other": 1}),
    ("healthSeconds", {"preview": "1"}), ("healthSeconds", {"preview": True}), ("healthSeconds", {"preview": None}),
    ("port", 0), ("port", 65536), ("port", "80"),
    ("previewTtlHours", 0), ("previewTtlHours", 8761),
    ("maxParallelTasks", 0), ("maxParallelTasks", 1001),
    ("restricted", "true"), ("restricted", 1), ("separateApprover", 0),
    ("forbiddenPaths", [1]), ("forbiddenPaths", ["../x"]), ("forbiddenPaths", [""]), ("forbiddenPaths", ["a\nb"]),
    ("forbiddenPaths", ["x"] * 201), ("forbiddenPaths", ["!keep"]), ("forbiddenPaths", ["# secrets"]),
    ("forbiddenPaths", ["a//b"]), ("forbiddenPaths", ["x[a"]), ("forbiddenPaths", ["a\\"]), ("forbiddenPaths", ["/"]),
    ("limits", {"maxCostUsd": -1}), ("limits", {"maxTokens": 0}), ("limits", {"maxTokens": 1.5}),
    ("limits", {"maxMinutes": "5"}), ("limits", {"maxMinutes": 0}), ("limits", {"max": 1}),
    ("agentInstructions", "x" * 50_001),
]  # fmt: skip

READ_ONLY = ("id", "slug", "giteaRepoUrl", "k8sNamespace", "status", "state", "error", "createdAt", "createdBy")


@pytest.fixture
def plain_maintainer(plain_app: Flask) -> FlaskClient:
    return builders.client_of(plain_app, builders.a_user("max", Role.MAINTAINER))


def test_a_project_is_made_as_the_contract_says_it(maintainer: FlaskClient) -> None:
    reply = maintainer.post("/api/projects", json={"name": "My New Project", "envVars": {"NODE_ENV": "production"}})

    assert reply.status_code == 201
    project = reply.json["project"]
    assert project["giteaRepoUrl"].endswith("/aiworker/my-new-project")
    assert project["k8sNamespace"] == f"my-new-project-{project['id'][-8:]}"
    assert project["status"] == "provisioning"
    assert project["createdAt"].endswith("Z")
    assert (project["replicas"], project["previewTtlHours"], project["defaultBranch"]) == (1, 72, "main")
    assert project["healthSeconds"] == {"preview": 0, "staging": 10, "production": 30}
    assert (project["healthPath"], project["restricted"], project["error"]) == ("/", False, None)
    assert maintainer.get(f"/api/projects/{project['id']}").json == reply.json
    assert maintainer.get("/api/projects").json["projects"] == [project]
    jobs = maintainer.get("/api/jobs").json["jobs"]
    assert [(job["kind"], job["subjectId"]) for job in jobs] == [("project.provision", project["id"])]


def test_every_field_is_kept_and_a_secret_is_shown_by_its_name_alone(admin: FlaskClient) -> None:
    reply = admin.post("/api/projects", json=WHOLE)

    assert reply.status_code == 201, reply.json
    assert {name: reply.json["project"][name] for name in WHOLE} == {**WHOLE, "secretEnvVars": ["API_KEY"]}
    for path in ("/api/projects", f"/api/projects/{reply.json['project']['id']}", "/api/events"):
        assert b"canary" not in admin.get(path).data
    assert b"canary" not in reply.data


@pytest.mark.parametrize("name", WHOLE)
def test_a_wrong_field_is_named(plain_maintainer: FlaskClient, name: str) -> None:
    project = a_project()
    values = [value for wrong, value in WRONG if wrong == name]
    assert values, f"{name} is not in WRONG"

    for value in values:
        for reply in (
            plain_maintainer.post("/api/projects", json={"name": "Another", name: value}),
            plain_maintainer.patch(f"/api/projects/{project.id}", json={name: value}),
        ):
            assert reply.status_code == 400, (value, reply.json)
            assert reply.json["error"] == "Validation error"
            assert reply.json["details"]["field"].split(".")[0] == name
            assert reply.json["details"]["message"]


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_read_only_field_is_refused(plain_maintainer: FlaskClient, name: str) -> None:
    reply = plain_maintainer.post("/api/projects", json={"name": "Another", name: "x"})

    assert (reply.status_code, reply.json["details"]) == (400, {"field": name, "message": "Read-only field"})


@pytest.mark.parametrize("name", ["importUrl", "defaultBranch"])
def test_what_a_project_began_with_stays(plain_maintainer: FlaskClient, name: str) -> None:
    reply = plain_maintainer.patch(f"/api/projects/{a_project().id}", json={name: WHOLE[name]})

    assert (reply.status_code, reply.json["details"]) == (400, {"field": name, "message": "Read-only field"})


def test_a_missing_name_is_required_and_an_unknown_field_unknown(plain_maintainer: FlaskClient) -> None:
    assert plain_maintainer.post("/api/projects").json["details"] == {"field": "name", "message": "Required"}
    unknown = plain_maintainer.post("/api/projects", json={"name": "Shop", "colour": "red"})
    assert unknown.json["details"] == {"field": "colour", "message": "Unknown field"}


def test_an_operator_may_allow_a_private_host(plain_maintainer: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_IMPORT_ALLOW", "git.internal:8080,127.0.0.1")
    settings.cache_clear()

    reply = plain_maintainer.post("/api/projects", json={"name": "Shop", "importUrl": "http://127.0.0.1/shop.git"})

    assert reply.status_code == 201


def test_no_variable_is_both_plain_and_secret(maintainer: FlaskClient) -> None:
    both = maintainer.post("/api/projects", json={"name": "A", "envVars": {"KEY": "1"}, "secretEnvVars": {"KEY": "2"}})
    project = a_project("B", env_vars={"PLAIN": "1"}, secret_env_vars={"SECRET": "2"})
    later = maintainer.patch(f"/api/projects/{project.id}", json={"envVars": {"SECRET": "1"}})
    swapped = maintainer.patch(
        f"/api/projects/{project.id}", json={"envVars": {"SECRET": "1"}, "secretEnvVars": {"PLAIN": "2"}}
    )

    assert (both.status_code, both.json["details"]["field"]) == (400, "secretEnvVars.KEY")
    assert (later.status_code, later.json["details"]["field"]) == (400, "secretEnvVars.SECRET")
    assert swapped.json["project"]["secretEnvVars"] == ["PLAIN"]


def test_variables_lie_sealed_in_the_database(app: Flask, maintainer: FlaskClient) -> None:
    body = {"name": "A", "envVars": {"PLAIN": "canary-plain"}, "secretEnvVars": {"KEY": "canary-key"}}
    made = maintainer.post("/api/projects", json=body, headers={"Idempotency-Key": "once"})
    again = maintainer.post("/api/projects", json=body, headers={"Idempotency-Key": "once"})

    assert made.json["project"]["envVars"] == {"PLAIN": "canary-plain"}
    assert (again.status_code, again.json) == (201, made.json)
    with database.engine(reads=True).connect() as connection:
        for table in ("projects", "idempotency_keys", "events", "jobs"):
            rows = connection.execute(text(f"SELECT * FROM {table}")).all()
            assert rows
            assert "canary" not in str(rows)


def test_unreviewed_code_is_given_secrets_by_name_and_by_default_none(maintainer: FlaskClient) -> None:
    secrets = {"ONE": "canary-1", "TWO": "canary-2"}
    made = maintainer.post("/api/projects", json={"name": "A", "envVars": {"P": "1"}, "secretEnvVars": secrets})
    path = f"/api/projects/{made.json['project']['id']}"
    plain = maintainer.patch(path, json={"secretsInChecks": ["P"]})
    named = maintainer.patch(path, json={"secretsInChecks": ["TWO", "ONE", "TWO"], "secretsInPreviews": ["TWO"]})
    fewer = maintainer.patch(path, json={"secretEnvVars": {"ONE": "canary-1", "NEW": "canary-3"}})

    def given(reply: Any) -> tuple[list[str], list[str]]:
        return reply.json["project"]["secretsInChecks"], reply.json["project"]["secretsInPreviews"]

    assert given(made) == ([], [])
    assert (plain.status_code, plain.json["details"]["field"]) == (400, "secretsInChecks")
    assert given(named) == (["ONE", "TWO"], ["TWO"])
    assert given(fewer) == (["ONE"], [])
    assert given(maintainer.get(path)) == (["ONE"], [])


def test_a_taken_name_is_a_conflict_and_a_taken_slug_is_numbered(maintainer: FlaskClient) -> None:
    a_project("Shop")

    taken = maintainer.post("/api/projects", json={"name": "Shop"})
    numbered = maintainer.post("/api/projects", json={"name": "shop!"})

    assert (taken.status_code, taken.json["details"]["field"]) == (409, "name")
    assert numbered.json["project"]["giteaRepoUrl"].endswith("/shop-2")


def test_a_change_is_kept_and_what_may_be_nothing_becomes_null(maintainer: FlaskClient) -> None:
    project = a_project(port=80, max_parallel_tasks=2, start_command="x")
    changes = {
        "port": None,
        "maxParallelTasks": None,
        "startCommand": None,
        "healthSeconds": {"staging": 5},
        "name": "N",
    }

    reply = maintainer.patch(f"/api/projects/{project.id}", json=changes)

    assert reply.status_code == 200
    assert {name: reply.json["project"][name] for name in changes} == {
        **changes, "healthSeconds": {"preview": 0, "staging": 5, "production": 30}
    }  # fmt: skip
    assert maintainer.get(f"/api/projects/{project.id}").json == reply.json


def test_deleting_answers_with_its_job_and_again_with_the_same(maintainer: FlaskClient) -> None:
    project = a_project()

    first = maintainer.delete(f"/api/projects/{project.id}")
    second = maintainer.delete(f"/api/projects/{project.id}")

    assert (first.status_code, second.status_code) == (202, 202)
    assert set(first.json["job"]) == {"id", "kind", "state"}
    assert first.json["job"] == second.json["job"]
    assert first.json["job"]["kind"] == "project.delete"
    assert first.json["project"]["status"] == "deleting"
    change = maintainer.patch(f"/api/projects/{project.id}", json={"name": "Other"})
    assert (change.status_code, "deleting" in change.json["details"]["message"]) == (409, True)


def test_only_a_failed_provisioning_starts_again(maintainer: FlaskClient) -> None:
    project = a_project()
    early = maintainer.post(f"/api/projects/{project.id}/retry")
    set_state(project, ProjectState.FAILED, error="refused")

    reply = maintainer.post(f"/api/projects/{project.id}/retry")

    assert (early.status_code, "provisioning" in early.json["details"]["message"]) == (409, True)
    assert (reply.status_code, reply.json["project"]["status"], reply.json["project"]["error"]) == (
        200, "provisioning", None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "least", "good"),
    [
        ("GET", "/api/projects", None, Role.VIEWER, 200),
        ("GET", "/api/projects/{id}", None, Role.VIEWER, 200),
        ("POST", "/api/projects", {"name": "Another"}, Role.MAINTAINER, 201),
        ("PATCH", "/api/projects/{id}", {"description": "x"}, Role.MAINTAINER, 200),
        ("DELETE", "/api/projects/{id}", None, Role.MAINTAINER, 202),
        ("GET", "/api/projects/{id}/members", None, Role.VIEWER, 200),
        ("PUT", "/api/projects/{id}/members/{user}", {"role": "viewer"}, Role.MAINTAINER, 200),
    ],
)
def test_who_may_do_what(
    plain_app: Flask, method: str, path: str, body: dict[str, Any] | None, least: Role, good: int
) -> None:
    project = a_project()
    statuses = {}
    for role in Role:
        user = builders.a_user(f"user-{role.label}", role)
        client = builders.client_of(plain_app, user)
        unique = body and {**body, **({"name": f"Another {role.label}"} if "name" in body else {})}
        statuses[role] = client.open(
            path.format(id=project.id, user=user.id), method=method, json=unique
        ).status_code  # fmt: skip

    assert statuses == {role: good if role >= least else 403 for role in Role}
    assert plain_app.test_client().open(path.format(id=project.id, user=MISSING_ID), method=method).status_code == 401


def test_a_restricted_project_does_not_exist_for_others(app: Flask) -> None:
    project = a_project(is_restricted=True)
    stranger = builders.client_of(app, builders.a_user("sam", Role.MAINTAINER))
    member = builders.a_user("mia", Role.MAINTAINER)
    admin = builders.client_of(app, builders.a_user("ada", Role.ADMIN))

    for method, tail, body in (
        ("GET", "", None), ("PATCH", "", {"name": "x"}), ("DELETE", "", None), ("POST", "/retry", None),
        ("GET", "/members", None), ("PUT", f"/members/{member.id}", {"role": "viewer"}),
        ("DELETE", f"/members/{member.id}", None),
    ):  # fmt: skip
        foreign = stranger.open(f"/api/projects/{project.id}{tail}", method=method, json=body)
        missing = stranger.open(f"/api/projects/{MISSING_ID}{tail}", method=method, json=body)
        assert (foreign.status_code, foreign.data) == (404, b'{"error":"Resource not found"}')
        assert (foreign.status_code, foreign.data) == (missing.status_code, missing.data)
    assert stranger.get("/api/projects").json["total"] == 0

    put = admin.put(f"/api/projects/{project.id}/members/{member.id}", json={"role": "member"})
    assert put.json == {"member": {"userId": member.id, "username": "mia", "role": "member"}}
    insider = builders.client_of(app, member)
    assert insider.get("/api/projects").json["total"] == 1
    assert insider.get(f"/api/projects/{project.id}/members").json == {"members": [put.json["member"]]}
    assert insider.patch(f"/api/projects/{project.id}", json={"name": "x"}).status_code == 403
    assert admin.delete(f"/api/projects/{project.id}/members/{member.id}").status_code == 204
    assert admin.delete(f"/api/projects/{project.id}/members/{member.id}").status_code == 404
    assert insider.get(f"/api/projects/{project.id}").status_code == 404


def test_a_member_is_no_administrator_and_somebody_who_exists(maintainer: FlaskClient) -> None:
    project = a_project()
    user = builders.a_user("mia")

    too_much = maintainer.put(f"/api/projects/{project.id}/members/{user.id}", json={"role": "admin"})
    nobody = maintainer.put(f"/api/projects/{project.id}/members/{new_id()}", json={"role": "viewer"})

    assert (too_much.status_code, too_much.json["details"]["field"]) == (400, "role")
    assert nobody.status_code == 404


def test_only_maintainers_see_what_variables_hold(member: FlaskClient, maintainer: FlaskClient) -> None:
    project = a_project(env_vars={"NODE_ENV": "canary-77"})

    for reply in (member.get(f"/api/projects/{project.id}"), member.get("/api/projects")):
        assert b"canary" not in reply.data
        assert b'"NODE_ENV":"***"' in reply.data
    assert maintainer.get(f"/api/projects/{project.id}").json["project"]["envVars"] == {"NODE_ENV": "canary-77"}


def test_the_name_of_a_hidden_project_is_free_to_others_and_tells_nothing(app: Flask, admin: FlaskClient) -> None:
    """Neither a 409 nor a counted slug says that there is a restricted project of this name."""
    max_ = builders.client_of(app, builders.a_user("max", Role.MAINTAINER))
    assert admin.post("/api/projects", json={"name": "Acquisition", "restricted": True}).status_code == 201

    first = max_.post("/api/projects", json={"name": "Acquisition"})
    renamed = max_.post("/api/projects", json={"name": "Other"}).json["project"]

    assert first.status_code == 201
    assert first.json["project"]["giteaRepoUrl"].endswith("/acquisition")
    reply = max_.patch(f"/api/projects/{renamed['id']}", json={"name": "Acquisition"})
    assert reply.status_code == 409
    assert max_.delete(f"/api/projects/{first.json['project']['id']}").status_code == 202


def test_a_name_is_taken_for_whoever_sees_its_project(app: Flask, admin: FlaskClient) -> None:
    max_ = builders.a_user("max", Role.MAINTAINER)
    secret = admin.post("/api/projects", json={"name": "Acquisition", "restricted": True}).json["project"]
    admin.put(f"/api/projects/{secret['id']}/members/{max_.id}", json={"role": "viewer"})
    plain = admin.post("/api/projects", json={"name": "Plain"}).json["project"]

    assert admin.post("/api/projects", json={"name": "Acquisition"}).status_code == 409
    assert builders.client_of(app, max_).post("/api/projects", json={"name": "Acquisition"}).status_code == 409
    assert admin.patch(f"/api/projects/{plain['id']}", json={"name": "Acquisition"}).status_code == 409


def test_a_project_is_not_opened_under_a_name_that_is_taken(app: Flask, admin: FlaskClient) -> None:
    secret = admin.post("/api/projects", json={"name": "Acquisition", "restricted": True}).json["project"]
    max_ = builders.client_of(app, builders.a_user("max", Role.MAINTAINER))
    assert max_.post("/api/projects", json={"name": "Acquisition"}).status_code == 201

    reply = admin.patch(f"/api/projects/{secret['id']}", json={"restricted": False})

    assert (reply.status_code, reply.json["details"]["field"]) == (409, "name")
    assert admin.get(f"/api/projects/{secret['id']}").json["project"]["restricted"] is True
    assert admin.patch(f"/api/projects/{secret['id']}", json={"restricted": False, "name": "Bought"}).status_code == 200
